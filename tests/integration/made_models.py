"""Artifacts made by hand, so that tests of them need no TensorFlow, Keras or MXNet."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path

from trainer.data.formats.protobuf import field, to_varint

# Written by MXNet 1.9.1's `Module.save_checkpoint`: a FullyConnected layer `fc` from 3 numbers to
# 2, all ones, and a softmax.
MXNET_PARAMS = zlib.decompress(
    base64.b85decode(
        "c-j+UWIzE-Q2OMr$v<Iym>4sZM%B__j}620Ga~6nvkJvNUMQVdlx~%l9ABQAnVwO?jVhRwnOF<}gWVLf"
    )
)
MXNET_SYMBOL = zlib.decompress(
    base64.b85decode(
        "c-ozj!HU8#5QbkR<eWpRRambJUOjjWB}6mYK%10wy1JCUyEE&qQqTp3Kr%D`eEBmOWQYzrxe|Jiv87#xzOJRB-8R6n"
        "vuHW?q3!WUS&m9PQy=!`1pZhdCoN*)j)7#2sl0O#STvL4E5Mz%-MhFo;l4j(2(U+RQ}8QHohiYqR6^(X<LvkN-wV2U"
        "z{Z|UZFf*VpXBx`+w@4)2mRAdJ-?eMZYD~8Q97F2r&6BWlFNcioHi+*Op9q!B^W^#N-SAcfpynQ7JuZ)q?&U8G+&T9"
        "A9+}se6iy^`^fTg94`SXt}y"
    )
)
# By `Block.save_parameters`, and by `nd.save` with numpy's shapes: a scalar and a 2×3 matrix.
MXNET_GLUON, MXNET_NUMPY = (
    zlib.decompress(base64.b85decode(text))
    for text in (
        "c-j+UWIzE-Q2OMr$v<Iym>4sZM%GeSR%g5IZkp|ywhJ~4v!Cu>rLb_%l+}$kF#U{3`q8XHv5yT(m#1c?XOyr&c}bax#Q-W?7jy",
        "c-j+UWIzE-Q2Nxb$v<IYs7f3hU~)`I>Y1^sZLr6NVR~4hbYfAuRWUNB3;+*w50(",
    )
)


def graph(
    *signatures: str,
    tags: tuple[str, ...] = ("serve",),
    shape: tuple[int, ...] | None = (-1, 4),
    assets: tuple[str, ...] = (),
    size: int = 0,
) -> bytes:
    """A `saved_model.pb` of signatures from `inputs`, float32, to `classes`, int64 [?].

    Its operations take `size` bytes, and it refers to `assets`.
    """
    told = b"".join(field(4, tag.encode()) for tag in tags) + field(5, b"2.21.0")
    parts = [field(1, told), field(2, bytes(size))]
    parts += [field(6, field(2, asset.encode())) for asset in assets]
    for name in signatures:
        inputs = entry("inputs", tensor(1, shape))
        outputs = entry("classes", tensor(9, (-1,)))
        method = field(3, b"tensorflow/serving/predict")
        parts.append(field(5, entry(name, field(1, inputs) + field(2, outputs) + method)))
    return number(1, 1) + field(2, b"".join(parts))


def tensor(dtype: int, shape: tuple[int, ...] | None) -> bytes:
    """A TensorInfo."""
    sizes = number(3, 1)
    if shape is not None:
        sizes = b"".join(field(2, number(1, size % 2**64)) for size in shape)
    return field(1, b"some:0") + number(2, dtype) + field(3, sizes)


def entry(key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return field(1, key.encode()) + field(2, value)


def number(key: int, value: int) -> bytes:
    """A field that is a number."""
    return to_varint(key << 3) + to_varint(value)


def saved_model(folder: Path, raw: bytes | None = None) -> Path:
    """The files of a SavedModel, with a graph that says how it is called and holds nothing."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(graph("serving_default") if raw is None else raw)
    (folder / "variables/variables.index").write_bytes(b"index")
    (folder / "variables/variables.data-00000-of-00001").write_bytes(bytes(range(256)))
    return folder


def checkpoint(folder: Path, prefix: str = "tiny", epochs: tuple[int, ...] = (0,)) -> Path:
    """An MXNet checkpoint; its prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}-symbol.json").write_bytes(MXNET_SYMBOL)
    for epoch in epochs:
        (folder / f"{prefix}-{epoch:04d}.params").write_bytes(MXNET_PARAMS)
    return folder / prefix


def keras_file(path: Path) -> Path:
    """What `Model.save` writes, but for the weights."""
    layer = {"name": "rows", "batch_shape": [None, 4], "dtype": "float32"}
    layers = [{"class_name": "InputLayer", "config": layer}, {"class_name": "Dense", "config": {}}]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps({"config": {"name": "net", "layers": layers}}))
        archive.writestr("model.weights.h5", b"\x89HDF")
    return path


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive, a file unless `type` says otherwise."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    """An archive as nobody's tool writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
