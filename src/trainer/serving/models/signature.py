"""Signatures of a model and their tensors, without TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.serving.http.errors import HTTPError, bad_request
from trainer.serving.models import shapes

DEFAULT = "serving_default"
# TensorFlow Serving's convention for strings that hold bytes.
BYTES_SUFFIX = "_bytes"
# NumPy's kinds of types that requests can hold; a signature with other inputs is not served.
SERVED = frozenset("biufO")


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output.

    Attributes:
        name: As in the signature.
        dtype: NumPy's; objects for strings.
        type_name: TensorFlow's name of the type.
        shape: With the batch dimension; None for a dimension of any size, or for any rank.
    """

    name: str
    dtype: np.dtype
    type_name: str
    shape: tuple[int | None, ...] | None

    @property
    def is_text(self) -> bool:
        """True if it holds strings or bytes."""
        return self.dtype == np.dtype(object)

    @property
    def row(self) -> tuple[int | None, ...] | None:
        """The shape of one instance."""
        return None if not self.shape else self.shape[1:]

    @property
    def row_size(self) -> int | None:
        """The number of values of one instance, if it is always the same."""
        row = self.row
        if row is None or None in row:
            return None
        return math.prod(size for size in row if size is not None)

    def __str__(self) -> str:
        return f"{self.type_name} {shape_text(self.shape)}"

    def check(self, array: np.ndarray) -> None:
        """Check that the graph can take an array.

        TensorFlow does not check the inputs of a loaded signature: a wrong rank can crash the
        process.

        Raises:
            HTTPError: Shape or values are not those of the signature.
        """
        if not self.fits(array.shape):
            raise bad_request(
                f"input '{self.name}' has shape {shape_text(array.shape)}; expected {self}"
            )
        if self.dtype.kind == "f" and not np.isfinite(array).all():
            raise bad_request(
                f"input '{self.name}' has values that are NaN, infinite or too large for "
                f"{self.type_name}; expected finite numbers"
            )

    def fitted(self, array: np.ndarray, *, single: bool = False) -> np.ndarray:
        """Return values in the tensor's shape, if they can be read in only one way.

        An array that fits already, or that cannot be read so, comes back as it is.

        Args:
            array: Rows, of this shape or another.
            single: Whether it may be one row without the dimension of rows.
        """
        if not self.shape or not array.ndim or self.fits(array.shape):
            return array
        wanted = self.shape[1:]
        if self.shape[0] in (None, len(array)):
            row = shapes.read_as(array.shape[1:], wanted)
            if row is not None:
                return array.reshape(len(array), *row)
        if single and self.shape[0] in (None, 1):
            row = shapes.read_as(array.shape, wanted)
            if row is not None:
                return array.reshape(1, *row)
        return array

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether an array of this shape may be given."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            expected in (None, size) for size, expected in zip(shape, self.shape, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A function of a model that can be called over HTTP.

    Attributes:
        name: Of the signature.
        inputs: In the order of their names.
        outputs: In the order of their names.
        batched: Whether requests may be answered by one call together, and a large one by several.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batched: bool = False

    @property
    def has_rows(self) -> bool:
        """True if the shapes of inputs and outputs have one row for each instance.

        The outputs for a row may depend on other rows all the same.
        """
        tensors = self.inputs + self.outputs
        return bool(self.inputs) and all(t.shape and t.shape[0] is None for t in tensors)

    @property
    def takes_images(self) -> bool:
        """True if it takes PNG or JPEG files as they are."""
        if len(self.inputs) != 1:
            return False
        (only,) = self.inputs
        one = only.fits((1,)) or only.fits(())
        return only.is_text and only.name.endswith(BYTES_SUFFIX) and one

    def only_input(self, format_name: str) -> Tensor:
        """Return the single input, for formats that cannot name several.

        Args:
            format_name: Of the format, for the error.

        Raises:
            HTTPError: The signature has several.
        """
        if len(self.inputs) != 1:
            names = ", ".join(tensor.name for tensor in self.inputs)
            raise HTTPError(
                415, f"signature '{self.name}' has the inputs {names}: {format_name} has no names "
                "for them; expected application/json"
            )  # fmt: skip
        return self.inputs[0]


def shape_text(shape: tuple[int | None, ...] | None) -> str:
    """Return a shape as TensorFlow Serving prints it: -1 for any size."""
    if shape is None:
        return "[?]"
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"
