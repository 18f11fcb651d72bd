r"""Media types of requests and responses: two tables, in which a new format is one line.

A format is a file of this folder, say `formats/tsv.py` for numbers between tabs. It has a function
that reads requests, a `ResponseFormat` that writes responses, or both:

    def read(
        body: bytes, signatures: Mapping[str, Signature], name: str | None = None
    ) -> PredictRequest:
        signature = choose_signature(signatures, name)
        tensor = signature.only_input("TSV")
        rows = np.loadtxt(io.BytesIO(body), tensor.dtype, delimiter="\t", ndmin=2)
        return checked_request(signature, {tensor.name: tensor.fitted(rows)})

    def _write(outputs: Arrays, form: Form) -> bytes:
        rows = np.concatenate(tables(outputs), axis=1)
        return "".join("\t".join(map(str, row)) + "\n" for row in rows.tolist()).encode()

    RESPONSE = ResponseFormat(write=_write, strings=False)

Its lines are `"text/tab-separated-values": "tsv:read"` in `READERS` and `"tsv:RESPONSE"` under the
same media type in `WRITERS`. No other code chooses a format: Content-Type and Accept are looked up
here, and the errors 415 and 406 and /openapi.json list what stands here.
"""

from __future__ import annotations

import functools

from trainer.config import Registry
from trainer.serving.formats import tf_json
from trainer.serving.formats.outputs import ResponseFormat
from trainer.serving.formats.request import RequestReader
from trainer.serving.http.errors import HTTPError, shown_value

JSON = "application/json"
READERS: Registry[RequestReader] = Registry(
    "trainer.serving.formats",
    {
        JSON: "simple_json:read",
        "application/jsonlines": "simple_json:read_lines",
        "application/jsons": "simple_json:read_lines",
        "application/x-ndjson": "simple_json:read_lines",
        "text/csv": "csv:read",
        "application/x-npy": "npy:read",
        "image/png": "image:read_png",
        "image/jpeg": "image:read_jpeg",
    },
)
# `*/*` in an Accept header means the first, `text/*` the first whose type begins with `text/`.
WRITERS: Registry[ResponseFormat] = Registry(
    "trainer.serving.formats",
    {
        JSON: "tf_json_response:RESPONSE",
        "application/jsonlines": "tf_json_response:LINES",
        "text/csv": "csv:RESPONSE",
        "application/x-npy": "npy:RESPONSE",
    },
)
# Cached, as each request makes two look-ups, which would go through the import system.
_reader = functools.cache(READERS.__getitem__)
writer = functools.cache(WRITERS.__getitem__)


def load() -> None:
    """Import every format, so that one that cannot be imported ends the server at its start."""
    for media_type in READERS:
        _reader(media_type)
    _media_types_by_range()


def reader(content_type: str | None) -> RequestReader:
    """Return the reader of a body of `/invocations`; JSON, if its type is not said.

    Raises:
        HTTPError: No format has that type.
    """
    media_type = _media_type(content_type)
    if media_type and media_type not in READERS:
        raise HTTPError(
            415, f"Unsupported Media Type: {media_type[:80]}; expected one of {', '.join(READERS)}"
        )
    return _reader(media_type or JSON)


def tf_reader(content_type: str | None) -> RequestReader:
    """Return the reader of a body on TensorFlow Serving's paths.

    TensorFlow Serving takes any body for JSON, so that what curl sends by default is right.
    """
    media_type = _media_type(content_type)
    if media_type == JSON or media_type not in READERS:
        return tf_json.read
    return _reader(media_type)


def accepted(header: str | None) -> str:
    """Return the media type of the response format that suits a client best.

    Args:
        header: The request's Accept.

    Raises:
        HTTPError: None does.
    """
    known = _media_types_by_range()
    exact = known.get(header or "")
    if exact is not None:
        return exact
    best, choice = 0.0, None
    for part in (header or "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if weight > best and name in known:
            best, choice = weight, known[name]
    if choice is None:
        raise HTTPError(406, f"Accept: {shown_value(header)}: expected one of {', '.join(WRITERS)}")
    return choice


def tf_accepted(header: str | None) -> str:
    """Return the media type of a response on TensorFlow Serving's paths.

    TensorFlow Serving answers in JSON whatever a client accepts, and many clients send an Accept
    that means nothing. One that names a single format of ours gets it.
    """
    return _media_types_by_range().get(header or "", JSON)


@functools.cache
def _media_types_by_range() -> dict[str, str]:
    """Return which response format a media type or range of an Accept header stands for."""
    known = {name: next(iter(WRITERS)) for name in ("", "*/*")}
    for media_type in WRITERS:
        for name in (media_type, *writer(media_type).aliases):
            known.setdefault(name, media_type)
        known.setdefault(media_type.partition("/")[0] + "/*", media_type)
    return known


def _media_type(header: str | None) -> str:
    """Return the type that a Content-Type header names, without its parameters."""
    return (header or "").partition(";")[0].strip().lower()


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
