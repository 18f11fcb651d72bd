"""Values that are secrets wherever they turn up, as the names beside them say so."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.runtime.secrets import looks, text as secret_text
from trainer.runtime.secrets.names import is_figure, looks_secret, surely_secret

# Short values and these words would blot out half of every text.
_SHORTEST = 6
_WORDS = frozenset({"default", "testing", "enabled", "disabled", "required", "example"})
# The length from which a line or a part of an address is unlikely to be anything else.
_UNMISTAKABLE = 12
# Text that looks neither like a word nor like a path.
_RANDOM = re.compile(
    r"(?=.*\d)(?=.*[A-Za-z])[\w+=.~-]{12,}|(?=.*[a-z])(?=.*[A-Z])[\w+.~-]{16,}|[\w+/-]{11,}={1,2}"
)
_SCHEME = re.compile(r"(?:Basic|Bearer|Digest|Token)\s+(\S+)", re.IGNORECASE)


def known_secrets(env: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets that an environment names, long enough to be looked for in any text.

    Args:
        env: Variables or hyperparameters; JSON, addresses and connection strings are looked into.
    """
    found: set[str] = set()
    for name, value in env.items():
        with contextlib.suppress(RecursionError):
            found.update(_in({name: value}))
    return frozenset(
        form
        for text in found
        for form in _forms(text)
        if len(form) >= _SHORTEST and form.lower() not in _WORDS and not set(form) <= {"*"}
    )


def known_in_argv(argv: Sequence[str]) -> frozenset[str]:
    """Return the secrets that arguments name: `--token x`, `--password=x`, `--hp token=x`."""
    pairs: dict[str, str] = {}
    for i, item in enumerate(argv):
        name, equals, value = item.partition("=")
        if not equals and name.startswith("--") and i + 1 < len(argv):
            value = argv[i + 1]
        # A name may be there twice, and each value counts.
        pairs[f"{i}.{name.lstrip('-')}"] = value
    return known_secrets(pairs)


def decoded(value: Any) -> Any:
    """Return JSON as what it says, but numbers and plain words as the text they are."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", '"')):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _in(value: Any) -> Iterator[str]:
    """Yield the secret texts of a value at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _in(decoded(item))
        if all(isinstance(item, str) for item in value):
            yield from known_in_argv(value)
    elif isinstance(value, dict):
        for name, held in value.items():
            if isinstance(held, str):
                yield from _of(str(name), held)
            yield from _in(decoded(held))
    elif isinstance(value, str):
        yield from _within(value)


def _of(name: str, value: str) -> Iterator[str]:
    if is_figure(name, value):
        return
    if surely_secret(name):
        yield value
        yield from _parts(value)
    elif looks_secret(name) and _RANDOM.fullmatch(value):
        yield value


def _within(text: str) -> Iterator[str]:
    """Yield the secrets in a text that may be an address, a connection string, or both."""
    for begin, end in looks.spans(text):
        yield text[begin:end]
        # The password of user:password@.
        if text[end : end + 1] == "@":
            yield text[begin:end].partition(":")[2]
    for named in secret_text.named(text):
        if named.sure:
            yield text[named.begin : named.end]


def _parts(value: str) -> Iterator[str]:
    """Yield what of a secret may stand alone: its lines, the path of an address."""
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in map(str.strip, lines) if _is_unmistakable(line))
    scheme = _SCHEME.fullmatch(value)
    if scheme:
        yield scheme[1]
    if "://" in value:
        rest = value.partition("://")[2].partition("/")[2]
        path, _, query = rest.partition("?")
        segments = path.split("/")
        yield from (part for part in (path, rest, query, *segments) if _is_unmistakable(part))


def _is_unmistakable(text: str) -> bool:
    return len(text) >= _UNMISTAKABLE and bool(_RANDOM.fullmatch(text.replace("/", "").rstrip("=")))


def _forms(text: str) -> Iterator[str]:
    """Yield a secret as it stands in JSON, in Python's own form, in addresses and on one line."""
    in_json = json.dumps(text)[1:-1]
    yield from (text, in_json, json.dumps(in_json)[1:-1], repr(text)[1:-1], " ".join(text.split()))
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    # Variables may hold bytes that are no text.
    safe = text.encode("utf-8", "replace").decode()
    yield from (urllib.parse.quote(safe, safe=kept) for kept in ("", "/"))
    yield from (urllib.parse.quote_plus(safe), urllib.parse.unquote(safe))
