"""Pack a model as `model.tar.gz`, or print what an artifact holds: `trainer package`.

    trainer package --source runs/mnist/model --out model.tar.gz --code my_code
    trainer package --framework mxnet --source mlp --input-shape data=1,28,28,1
    trainer package --inspect model.tar.gz

TensorFlow is imported for a `.keras` file only.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.packaging import mxnet
from trainer.packaging.contents import files_below
from trainer.packaging.inspection import describe, inspect
from trainer.packaging.layout import SERVO_FOLDER
from trainer.packaging.locate import CODE_FOLDER, version_of
from trainer.packaging.package_options import PackageOptions
from trainer.packaging.prepare import prepare_model
from trainer.packaging.tarball import write_tarball
from trainer.packaging.user_code import code_files
from trainer.runtime import output
from trainer.storage import is_remote, local_path

# Flags that only one framework has.
ONLY = {"tensorflow": ("version", "layout", "module"), "mxnet": ("epoch", "input_shape")}


def run(args: PackageOptions, *, as_json: bool) -> None:
    """Pack a model, or print what an artifact holds.

    Args:
        args: The parsed options.
        as_json: True to print an inspected artifact as JSON.

    Raises:
        UserError: An option or the model is not as it should be; nothing was written.
    """
    args = _local(args)
    if args.inspect:
        if args.source:
            raise UserError(
                subject=f"--inspect {args.inspect}, --source {args.source}",
                problem="give one of them",
            )
        print_contents(Path(args.inspect), as_json=as_json)
        return
    if not args.source:
        raise UserError(
            subject="--source",
            problem="not given",
            remedy="name the model, or a file to --inspect",
        )
    out = Path(args.out)
    if not out.name.endswith((".tar.gz", ".tgz")) or out.is_dir():
        raise UserError(
            subject=f"--out {out}",
            problem="expected a file name that ends in .tar.gz",
        )
    for framework, flags in ONLY.items():
        for flag in flags:
            if framework != args.framework and getattr(args, flag) not in (None, ()):
                raise UserError(
                    subject=f"--{flag.replace('_', '-')}",
                    problem=f"is for --framework {framework} only",
                )
    (_mxnet if args.framework == "mxnet" else _tensorflow)(args, args.source, out)
    print_contents(out, as_json=False)


def _local(args: PackageOptions) -> PackageOptions:
    """Return the options with each path as one of this machine."""
    paths: dict[str, Any] = {}
    for name in ("inspect", "source", "out", "code"):
        value = getattr(args, name)
        if value is not None:
            if is_remote(value):
                raise UserError(
                    subject=f"--{name} {value}",
                    problem="expected a local path",
                )
            paths[name] = local_path(value, flag=f"--{name}")
    return dataclasses.replace(args, **paths)


def print_contents(path: Path, *, as_json: bool) -> None:
    """Print what an artifact holds."""
    artifact = inspect(path)
    if as_json:
        output.out_json(artifact.as_dict())
    else:
        output.out("\n".join(describe(artifact, name=str(path))))


def _tensorflow(args: PackageOptions, source: str, out: Path) -> None:
    if args.version is not None and version_of(str(args.version)) is None:
        raise UserError(
            subject=f"--version {args.version}",
            problem="expected a number of 0 or more, of 64 bits",
        )
    code = code_files(Path(args.code), handlers=True) if args.code else None
    with prepare_model(
        Path(source),
        name=f"--source {source}",
        version=args.version,
        module=args.module,
    ) as model:
        numbers = (model.version, args.version, 1)
        folder = str(next(number for number in numbers if number is not None))
        if args.layout == "servo":
            folder = f"{SERVO_FOLDER}/{folder}"
        found = {f"{folder}/{name}": file for name, file in model.files.items()}
        if code is None and model.code:
            code = files_below(model.code)
        found |= {f"{CODE_FOLDER}/{name}": file for name, file in (code or {}).items()}
        write_tarball(out, found)


def _mxnet(args: PackageOptions, source: str, out: Path) -> None:
    prefix = Path(source)
    shapes = mxnet.parse_shapes(args.input_shape)
    if not shapes:
        raise UserError(
            subject="--input-shape",
            problem="not given; expected NAME=N,N,…, such as data=1,28,28,1",
        )
    symbol_file, params_file = mxnet.checkpoint(prefix, epoch=args.epoch)
    try:
        symbol = mxnet.read_symbol(symbol_file.read_bytes(), name=str(symbol_file))
        with params_file.open("rb") as file:
            params = mxnet.read_params(file, name=str(params_file))
    except OSError as error:
        raise UserError(
            subject=error.filename,
            problem=f"cannot be read: {error.strerror}",
        ) from None
    mxnet.check(symbol, params, shapes, name=str(prefix))
    found: dict[str, Path | bytes] = {
        mxnet.SYMBOL: symbol_file,
        mxnet.PARAMS: params_file,
        mxnet.SHAPES: mxnet.shapes_json(shapes).encode(),
    }
    if args.code:
        code = code_files(Path(args.code), handlers=False)
        found |= {f"{CODE_FOLDER}/{name}": file for name, file in code.items()}
    write_tarball(out, found)
