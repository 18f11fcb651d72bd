"""The options of `trainer export`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import UserError, flag_of, option, options_of

CHECKPOINT, MODEL, OUTPUT, DATA = "checkpoint", "model", "output", "data"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """A checkpoint, and where its model goes."""

    checkpoint: str | None = option(
        None, "folder of checkpoints; DIR/STEP or DIR/ckpt-N for that step, DIR/best for the best "
        "test accuracy (default: the newest); s3:// and gs:// too", CHECKPOINT, metavar="DIR",
    )
    model_dir: str | None = option(
        None, "folder for the model; s3:// and gs:// too", OUTPUT, metavar="DIR"
    )
    layout: str = option(
        "version", "as of trainer train", OUTPUT, choices=("version", "servo", "flat", "tar")
    )

    module: str | None = option(
        None, "the model's module (default: that of the checkpoint; needed for one of an earlier "
        "version, which has none)", MODEL, metavar="NAME",
    )
    model: str | None = option(
        None, "the built-in model (default: as --module)", MODEL, metavar="NAME"
    )
    precision: str | None = option(
        None, "arithmetic of the training (default: as --module)", MODEL,
        choices=("float32", "bfloat16", "float16"),
    )
    hp: tuple[tuple[str, str], ...] = option(
        (), "a hyperparameter of a model of your own (default: as --module)", MODEL,
        metavar="NAME=VALUE", many=True,
    )

    train: tuple[str, ...] = option(
        (), "as --test, if that is not given", DATA, metavar="PATH", many=True
    )
    test: tuple[str, ...] = option(
        (), "test data, on which the export is compared with the checkpoint's model (default: "
        "random inputs)", DATA, metavar="PATH", many=True,
    )
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(ExportOptions).items():
            limits.check(flag_of(name), getattr(self, name))
        for name in ("checkpoint", "model_dir"):
            if not getattr(self, name):
                raise UserError(subject=flag_of(name), problem="not given", remedy="name a folder")
