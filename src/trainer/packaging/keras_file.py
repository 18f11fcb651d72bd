"""Read the configuration in a `.keras` file without Keras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trainer.config import UserError
from trainer.packaging.contents import Contents
from trainer.packaging.saved_model import TensorInfo


@dataclass(frozen=True, kw_only=True)
class KerasModel:
    """A model as Keras saves it.

    Attributes:
        name: The name that its author gave it.
        keras: The version of Keras that wrote it, or an empty text.
        inputs: The inputs that its configuration lists.
    """

    name: str
    keras: str
    inputs: tuple[TensorInfo, ...]


def read(of: Contents) -> KerasModel:
    """Read the configuration in a `.keras` file.

    Raises:
        UserError: It is damaged.
    """
    try:
        metadata = json.loads(of.read("metadata.json"))
        config = json.loads(of.read("config.json"))["config"]
        layers = config.get("layers", ())
        inputs = tuple(_input(x["config"]) for x in layers if x["class_name"] == "InputLayer")
        version = str(metadata.get("keras_version", ""))
        name = str(config.get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            subject=of.name,
            problem="damaged: its configuration is not that of Keras",
        ) from None
    return KerasModel(name=name, keras=version, inputs=inputs)


def _input(config: dict[str, Any]) -> TensorInfo:
    dtype = config["dtype"]
    if isinstance(dtype, dict):
        dtype = dtype["config"]["name"]
    shape = tuple(None if size is None else int(size) for size in config["batch_shape"])
    return TensorInfo(name=str(config["name"]), dtype=str(dtype), shape=shape)
