"""OpenAPI document of the server, with the inputs and outputs of the loaded models."""

from __future__ import annotations

from typing import Any

from trainer import __version__
from trainer.serving.formats.registry import JSON, READERS, WRITERS
from trainer.serving.formats.request import choose_signature
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature, Tensor
from trainer.serving.models.store import ModelStore

_KINDS = {"f": "number", "i": "integer", "u": "integer", "b": "boolean"}
_B64 = {
    "type": "object",
    "required": ["b64"],
    "additionalProperties": False,
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
}


def document(store: ModelStore) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of this server.

    Args:
        store: The models.
    """
    paths: dict[str, Any] = {
        "/ping": {
            "get": _operation("Whether requests should be sent here", {"200": {}, "503": {}})
        },
        "/execution-parameters": {"get": _operation("What suits batch transform", _json({}))},
        "/metrics": {"get": _operation("Prometheus", {"200": {"text/plain": {}}})},
        "/openapi.json": {"get": _operation("This document", _json({}))},
    }
    for name in store.names():
        try:
            version = store.get(name)
        except HTTPError:
            continue
        signatures = version.model.signatures
        default = choose_signature(signatures, None)
        body = {"oneOf": [_request(signature) for signature in signatures.values()]}
        base = f"/v1/models/{name}"
        paths[base] = {"get": _operation("States of the versions", _json({}))}
        paths[f"{base}/metadata"] = {"get": _operation("Signatures", _json({}))}
        post = _operation(f"Ask {name}", _responses(default)) | _body({JSON: {"schema": body}})
        paths[f"{base}:predict"] = {"post": post}
        if name == store.known(None):
            bodies: dict[str, Any] = {media_type: {"schema": {}} for media_type in READERS} | {
                JSON: {"schema": body}
            }
            paths["/invocations"] = {
                "post": _operation(f"Ask {name} in any format", _responses(default)) | _body(bodies)
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "trainer serve", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Error": _object({"error": {"type": "string"}})}},
    }


def _operation(summary: str, contents: dict[str, Any]) -> dict[str, Any]:
    responses = {
        status: {"description": status} | ({"content": content} if content else {})
        for status, content in contents.items()
    }
    return {"summary": summary, "responses": responses}


def _body(contents: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": contents}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {JSON: {"schema": schema}}}


def _responses(signature: Signature) -> dict[str, Any]:
    rows = {"type": "array", "items": _rows(signature.outputs)}
    content: dict[str, Any] = {media_type: {} for media_type in WRITERS}
    content[JSON] = {"schema": _object({"predictions": rows})}
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    codes = ("400", "404", "406", "408", "413", "415", "503", "504")
    return {"200": content} | dict.fromkeys(codes, error)


def _request(signature: Signature) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "items": _rows(signature.inputs)}
    schema = _object({"instances": rows})
    schema["properties"]["signature_name"] = {"const": signature.name}
    if signature.name != "serving_default":
        schema["required"].append("signature_name")
    return schema


def _rows(tensors: tuple[Tensor, ...]) -> dict[str, Any]:
    """Return the schema of one instance: a value, or an object of several by name."""
    if len(tensors) == 1:
        return _values(tensors[0])
    return _object({tensor.name: _values(tensor) for tensor in tensors})


def _values(tensor: Tensor) -> dict[str, Any]:
    schema: dict[str, Any] = _B64 if tensor.is_text else {"type": _KINDS[tensor.dtype.kind]}
    for size in reversed(tensor.row or ()):
        bounds = {} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema} | bounds
    return schema


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
