"""Objects that a script makes, and what it asks them for."""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from trainer.migration.calls import DEFAULT_BUCKET, default_text
from trainer.migration.evaluate import Evaluator
from trainer.migration.naming import source_of
from trainer.migration.signatures import UPLOADED, UPLOADER
from trainer.migration.values import Given, Made, Unknown, Use, is_known, joined

# The longest value that a note shows.
_SHOWN = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Followed:
    """Everything that a script makes and asks for, in the order of its lines.

    Attributes:
        made: The objects.
        uses: The calls of their methods.
        settings: Variables that it sets in `os.environ`.
    """

    made: tuple[Made, ...]
    uses: tuple[Use, ...]
    settings: Mapping[str, Given]

    def uses_of(self, made: Made, *methods: str) -> tuple[Use, ...]:
        """Return the calls of some methods of an object."""
        return tuple(use for use in self.uses if use.made is made and use.method in methods)


def arguments_of(node: ast.Call, look: Evaluator, positions: Sequence[str]) -> dict[str, Given]:
    """Return the arguments of a call by keyword."""
    found: dict[str, Given] = {}

    def add(name: str, each: ast.expr, value: Any, *, held: bool = False) -> None:
        if isinstance(value, Unknown) and (not value.name or _is_plain_call(each, value)):
            value = dataclasses.replace(value, name=name)
        # As it is now: the script may go on to change it.
        copied = copy.copy(value) if isinstance(value, (dict, list)) else value
        source = source_of(each)
        if held and (is_known(value) or isinstance(value, Unknown)):
            source = value.source if isinstance(value, Unknown) else repr(value)[:_SHOWN]
        found[name] = Given(value=copied, source=source, line=each.lineno)

    for number, each in enumerate(node.args):
        name = positions[number] if number < len(positions) else f"argument {number + 1}"
        add(name, each, look.value(each))
    for keyword in node.keywords:
        value = look.value(keyword.value)
        if keyword.arg:
            add(keyword.arg, keyword.value, value)
        elif isinstance(value, dict):
            for name, held in value.items():
                add(str(name), keyword.value, held, held=True)
        else:
            add(f"**{source_of(keyword.value)}", keyword.value, value)
    return found


def _is_plain_call(node: ast.expr, value: Unknown) -> bool:
    """Return whether a value is what a function returns that says nothing of it by its name."""
    return isinstance(node, ast.Call) and source_of(node.func).endswith(value.name)


def argument_default(node: ast.Call, look: Evaluator) -> dict[str, str]:
    """Return name and default of `parser.add_argument("--name", default=…)`; empty without."""
    words = [each.value for each in node.args if isinstance(each, ast.Constant)]
    names = [word for word in words if isinstance(word, str)]
    given = {each.arg: look.value(each.value) for each in node.keywords if each.arg}
    name = given.get("dest") or next(
        (n for n in names if n.startswith("--")), names[0] if names else ""
    )
    text = default_text(given.get("default"))
    return {str(name).lstrip("-").replace("-", "_"): text} if text is not None else {}


def field_defaults(node: ast.ClassDef) -> dict[str, str]:
    """Return the defaults of a class's fields, by names with a dot before them."""
    found: dict[str, str] = {}
    for each in node.body:
        target: ast.expr | None = each.target if isinstance(each, ast.AnnAssign) else None
        if isinstance(each, ast.Assign) and len(each.targets) == 1:
            target = each.targets[0]
        value = getattr(each, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            text = default_text(value.value)
            found |= {f".{target.id}": text} if text is not None else {}
    return found


def copied(node: ast.Call, look: Evaluator) -> Use:
    """Return the copy that `S3Uploader.upload(path, address)` makes."""
    given = arguments_of(node, look, UPLOADED)
    names = {"local_path": "source", "desired_s3_uri": "target"}
    given = {names.get(name, name): each for name, each in given.items()}
    for name in UPLOADED:
        missing = Given(value=Unknown(name, "", node.lineno), source="", line=node.lineno)
        given.setdefault(name, missing)
    made = Made(kind="copy", line=node.lineno, label=UPLOADER)
    return Use(made=made, method="copy_data", given=given, line=node.lineno)


def uploaded_address(use: Use) -> Any:
    """Return the address that `Session.upload_data` returns."""
    given, session = use.given, use.made
    bucket = given["bucket"].value if "bucket" in given else session.value("default_bucket")
    if bucket is None:
        bucket = Unknown(name="bucket", source=DEFAULT_BUCKET, line=use.line)
    prefix = given["key_prefix"].value if "key_prefix" in given else "data"
    path = given["path"].value if "path" in given else None
    file = PurePosixPath(path) if isinstance(path, str) else PurePosixPath()
    return joined("s3://", bucket, "/", prefix, f"/{file.name}" if file.suffix else "")
