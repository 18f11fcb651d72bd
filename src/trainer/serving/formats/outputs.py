"""A response format: how a model's outputs are written, and which outputs it can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trainer.serving.formats.request import Form
from trainer.serving.http.errors import HTTPError

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ResponseFormat:
    """One way to write outputs.

    Attributes:
        write: Makes a body of the outputs, by name, and of the form that the request had.
        forms: The forms that it can have. A format of rows alone gets outputs that are one value
            for the whole request as a single row.
        several_outputs: Whether it can hold more than one output.
        strings: Whether it can hold strings, which are objects of bytes.
        aliases: Other media types of an Accept header that it is meant by.
    """

    write: Callable[[Arrays, Form], bytes]
    forms: tuple[Form, ...] = (Form.ROWS,)
    several_outputs: bool = True
    strings: bool = True
    aliases: tuple[str, ...] = ()


def as_rows(outputs: Arrays) -> Arrays:
    """Return values for the whole request as a table of one row; other outputs as they are."""
    if any(array.ndim for array in outputs.values()):
        return outputs
    return {name: array[np.newaxis] for name, array in outputs.items()}


def tables(outputs: Arrays) -> list[np.ndarray]:
    """Return each output as a table [instances, values], in the order of their names.

    Raises:
        HTTPError: An output has no rows, or other rows than the rest.
    """
    found: list[np.ndarray] = []
    for name in sorted(outputs):
        array = outputs[name]
        if array.ndim == 0:
            raise HTTPError(
                406, f"output '{name}' is a single value, no table; Accept application/json"
            )
        found.append(array.reshape(len(array), math.prod(array.shape[1:])))
        if len(found[-1]) != len(found[0]):
            raise HTTPError(
                406, f"output '{name}' has other rows than the rest; Accept application/json"
            )
    return found
