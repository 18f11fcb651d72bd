"""The body of a response: the outputs of a model in one of the formats of `registry`."""

from __future__ import annotations

from trainer.serving.formats.outputs import Arrays, as_rows
from trainer.serving.formats.registry import writer
from trainer.serving.formats.request import Form
from trainer.serving.http.errors import HTTPError, bad_request


def write(outputs: Arrays, *, media_type: str, form: Form) -> bytes:
    """Write the body of a response.

    Args:
        outputs: By name; strings are objects of bytes.
        media_type: One of `WRITERS`.
        form: The form of the request.

    Raises:
        HTTPError: The format cannot hold these outputs.
    """
    response_format = writer(media_type)
    for name, array in outputs.items():
        if array.dtype.kind == "c":
            raise bad_request(
                f"Failed to write JSON value for tensor type: {array.dtype} of '{name}'"
            )
    if len(outputs) > 1 and not response_format.several_outputs:
        raise HTTPError(
            406, f"the answer has the outputs {', '.join(sorted(outputs))}, of which {media_type} "
            "can hold one; expected another Accept"
        )  # fmt: skip
    if not response_format.strings and any(array.dtype.hasobject for array in outputs.values()):
        raise HTTPError(
            406, f"the answer has strings, which {media_type} cannot hold; expected another Accept"
        )
    if Form.COLUMNS not in response_format.forms:
        outputs = as_rows(outputs)
    return response_format.write(outputs, form)
