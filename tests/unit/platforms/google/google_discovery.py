"""Checks JSON against Google's published descriptions of its APIs."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache/documents"
# Numbers of 64 bits are texts in JSON, and proto3's JSON takes plain ones as well.
TEXT_NUMBERS = ("int64", "uint64")
KINDS = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


@functools.cache
def document(api: str) -> dict[str, Any]:
    """Return the description of an API, such as `aiplatform.v1`."""
    return json.loads((DOCUMENTS / f"{api}.json").read_text())


def mistakes(
    value: Any, schema: str, *, api: str = "aiplatform.v1", numbers_for_enums: bool = False
) -> list[str]:
    """Return what is wrong with a value: unknown fields, wrong types, no such enum value.

    Args:
        value: JSON.
        schema: The name of its schema.
        api: The API that has it.
        numbers_for_enums: True if a number may stand for a name, as the SDK sends them.
    """
    found = _of(value, {"$ref": schema}, "", document(api)["schemas"])
    return [text for text, is_number in found if not (is_number and numbers_for_enums)]


def _of(
    value: Any, schema: dict[str, Any], where: str, schemas: dict[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Yield each mistake, and whether it is but the number of an enum's value."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type")
    if schema.get("readOnly"):
        yield f"{where}: only read", False
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list", False
            return
        for number, item in enumerate(value):
            yield from _of(item, schema["items"], f"{where}[{number}]", schemas)
    elif kind == "object":
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no object", False
            return
        for name, item in value.items():
            own = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if own is None:
                yield f"{where}.{name}: no such field", False
            else:
                yield from _of(item, own, f"{where}.{name}", schemas)
    elif kind in KINDS:
        yield from _plain(value, schema, where)


def _plain(value: Any, schema: dict[str, Any], where: str) -> Iterator[tuple[str, bool]]:
    kind, form = schema["type"], schema.get("format", "")
    if form in TEXT_NUMBERS and (type(value) is int or str(value).lstrip("-").isdigit()):
        return
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where}: {value!r} is no {kind}", "enum" in schema and type(value) is int
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {', '.join(schema['enum'])}", False
    elif form == "google-duration" and not re.fullmatch(r"\d+(\.\d+)?s", value):
        yield f"{where}: {value!r} is no duration", False


def method(api: str, http_method: str, path: str) -> dict[str, Any] | None:
    """Return the method of an API that a request calls, or None."""

    def methods(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in resources.values():
            yield from each.get("methods", {}).values()
            yield from methods(each.get("resources", {}))

    for each in methods(document(api)["resources"]):
        pattern = re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(each.get("flatPath", each["path"])))
        if each["httpMethod"] == http_method and re.fullmatch("/" + pattern, path):
            return each
    return None
