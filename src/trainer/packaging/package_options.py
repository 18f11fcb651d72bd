"""The options of `trainer package`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.config import flag_of, option, options_of

MODEL, ARCHIVE, MXNET = "model", "archive", "MXNet"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class PackageOptions:
    """A model to pack, or an artifact to inspect."""

    source: str | None = option(
        None, "SavedModel, folder of versions, export/Servo, .keras file or model.tar.gz; for "
        "mxnet what the names of the checkpoint begin with", MODEL, metavar="PATH",
        aliases=("model-dir",),
    )
    framework: str = option(
        "tensorflow", "of the model", MODEL, choices=("tensorflow", "mxnet")
    )
    version: int | None = option(
        None, "which version; for a model without, the number that it gets (default: the newest, "
        "1)", MODEL, high=math.inf, metavar="N",
    )
    module: str | None = option(
        None, "of a .keras file: the module that has its serving_input_fn (default: the signatures "
        "that Keras gives any model)", MODEL, metavar="NAME",
    )
    inspect: str | None = option(
        None, "show what this holds, and which containers take it, and pack nothing", MODEL,
        metavar="PATH",
    )

    out: str = option("model.tar.gz", "where it goes", ARCHIVE, metavar="FILE")
    code: str | None = option(
        None, "what goes into code/: inference.py, requirements.txt (default: that of the source)",
        ARCHIVE, metavar="DIR",
    )
    layout: str | None = option(
        None, "version: N/saved_model.pb; servo: export/Servo/N/saved_model.pb (default: version)",
        ARCHIVE, choices=("version", "servo"),
    )

    epoch: int | None = option(
        None, "which checkpoint (default: the last)", MXNET, high=math.inf, metavar="N"
    )
    input_shape: tuple[str, ...] = option(
        (), "an input, and its shape with the batch first, such as data=1,28,28,1", MXNET,
        metavar="NAME=N,N,…", many=True,
    )
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(PackageOptions).items():
            limits.check(flag_of(name), getattr(self, name))
