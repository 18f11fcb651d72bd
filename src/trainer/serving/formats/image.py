"""PNG and JPEG files as they are, for models that have a signature for them."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from trainer.serving.formats.request import Form, PredictRequest, checked_request, choose_signature
from trainer.serving.http.errors import HTTPError, bad_request
from trainer.serving.models.signature import Signature

MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def _read(
    body: bytes, signatures: Mapping[str, Signature], name: str | None = None, *, kind: str
) -> PredictRequest:
    """Read a body that is one image.

    Args:
        body: The file.
        signatures: The model's.
        name: Of the signature; by default the first that takes images.
        kind: The media type.

    Raises:
        HTTPError: The body is no PNG or JPEG, or the model takes no images.
    """
    able = sorted(key for key, signature in signatures.items() if signature.takes_images)
    if (name is None and not able) or (name is not None and name not in able):
        subject = "this model" if name is None else f"signature '{name[:80]}'"
        raise HTTPError(
            415, f"{subject} takes no {kind}: none of its inputs is a string whose name ends with "
            "_bytes; expected application/json"
        )  # fmt: skip
    signature = choose_signature(signatures, name or able[0])
    if not body.startswith(MAGIC[kind]):
        raise bad_request(f"the body is no {kind.partition('/')[2].upper()} file")
    (tensor,) = signature.inputs
    alone = tensor.shape == ()
    array = np.empty(() if alone else 1, object)
    array[...] = body
    return checked_request(signature, {tensor.name: array}, Form.COLUMNS if alone else Form.ROWS)


read_png = functools.partial(_read, kind="image/png")
read_jpeg = functools.partial(_read, kind="image/jpeg")
