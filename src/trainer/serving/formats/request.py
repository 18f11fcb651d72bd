"""Prediction requests, whatever format they came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from trainer.serving.http.errors import bad_request
from trainer.serving.models.signature import DEFAULT, Signature


class Form(Enum):
    """TensorFlow Serving's two forms of JSON; a response has the form of its request."""

    ROWS = "predictions"
    COLUMNS = "outputs"


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """Values for one signature.

    Attributes:
        signature: The signature that is called.
        arrays: The values of each input, checked against its shape.
        form: The form of the response.
    """

    signature: Signature
    arrays: Mapping[str, np.ndarray]
    form: Form = Form.ROWS


# Reads a body, given a model's signatures and the name of the one that is called by default.
RequestReader = Callable[[bytes, Mapping[str, Signature], str | None], PredictRequest]


def choose_signature(signatures: Mapping[str, Signature], name: str | None) -> Signature:
    """Return the signature of a name, or the default one.

    Args:
        signatures: The model's.
        name: None for the default one.

    Raises:
        HTTPError: There is no such signature; in TensorFlow Serving's words.
    """
    name = name or (DEFAULT if DEFAULT in signatures else next(iter(signatures)))
    if name not in signatures:
        raise bad_request(
            f'Serving signature name: "{name[:80]}" not found in signature def; '
            f"expected one of {', '.join(sorted(signatures))}"
        )
    return signatures[name]


def checked_request(
    signature: Signature, arrays: Mapping[str, np.ndarray], form: Form = Form.ROWS
) -> PredictRequest:
    """Return a request whose arrays fit the signature.

    Raises:
        HTTPError: One does not, or they have different numbers of rows.
    """
    for tensor in signature.inputs:
        tensor.check(arrays[tensor.name])
    if signature.has_rows:
        counts = {len(array) for array in arrays.values()}
        if len(counts) > 1 and signature.batched:
            counts_text = ", ".join(f"'{name}' {len(array)}" for name, array in arrays.items())
            raise bad_request(f"the inputs have different numbers of rows: {counts_text}")
        if 0 in counts:
            raise bad_request("the request has no instances; expected one or more")
    return PredictRequest(signature=signature, arrays=arrays, form=form)
