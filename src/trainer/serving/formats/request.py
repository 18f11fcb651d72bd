"""What a request comes down to, whatever its format was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from trainer.serving.http.errors import bad_request
from trainer.serving.models.signature import DEFAULT, Signature


class Form(Enum):
    """TensorFlow Serving's two forms of JSON, in which the answer follows the request."""

    ROWS = "predictions"
    COLUMNS = "outputs"


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """Values for one signature.

    Attributes:
        signature: Which.
        arrays: For each input, checked.
        form: Of an answer in JSON.
    """

    signature: Signature
    arrays: Mapping[str, np.ndarray]
    form: Form = Form.ROWS


# Of a body, by the signatures of a model and the name of the one that is asked if it names none.
RequestReader = Callable[[bytes, Mapping[str, Signature], str | None], PredictRequest]


def choose(signatures: Mapping[str, Signature], name: str | None) -> Signature:
    """The signature of this name; the default one, if none is given.

    Raises:
        HTTPError: There is none, in TensorFlow Serving's words.
    """
    name = name or (DEFAULT if DEFAULT in signatures else next(iter(signatures)))
    if name not in signatures:
        raise bad_request(
            f'Serving signature name: "{name[:80]}" not found in signature def; '
            f"expected one of {', '.join(sorted(signatures))}"
        )
    return signatures[name]


def checked(
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
            told = ", ".join(f"'{name}' {len(array)}" for name, array in arrays.items())
            raise bad_request(f"the inputs have different numbers of rows: {told}")
        if 0 in counts:
            raise bad_request("the request has no instances; expected one or more")
    return PredictRequest(signature=signature, arrays=arrays, form=form)
