"""Mask secrets in what is printed: values with a secret's name or looks become `***`.

Names say most: a variable, a key of JSON, a flag. Values are masked where their shape alone gives
them away, and a value that some name has given away is hidden wherever else it turns up. Where it
is unclear where a secret ends, too much is hidden rather than too little.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainer.runtime.secrets import looks, text as secret_text
from trainer.runtime.secrets.collect import decoded, known_secrets
from trainer.runtime.secrets.names import is_figure, looks_secret

MASK = "***"

# An argument or a setting as a whole, so that the value reaches to its end.
_SETTING = re.compile(r"([\w.-]+)=")
# A part of an address that may itself be an encoded address or JSON.
_ENCODED = re.compile(r"""(?<![^\s"'<>])[^\s"'<>]*%(?:3[ADad]|2[2567Ff]|7[Bb])[^\s"'<>]*""")


def masked_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that can be printed.

    Args:
        env: Variables, some of which may hold JSON.

    Returns:
        The same names; secrets replaced, also inside of JSON, and all else unchanged.
    """
    hide = known_secrets(env)
    return {k: MASK if v and _names(k, v) else mask_text(v, hide=hide) for k, v in env.items()}


def masked_argv(argv: Sequence[str], *, hide: Iterable[str] = ()) -> list[str]:
    """Return arguments that can be printed; in `--hp token=x` and `--token x`, x is masked."""
    return [_hidden(item, hide) if isinstance(item, str) else item for item in _list(list(argv))]


def mask_text(text: str, *, hide: Iterable[str] = ()) -> str:
    """Return a log line, an error's text or any other value as it can be printed.

    Args:
        text: Text of any length; JSON is masked by its keys, and stays JSON.
        hide: Values to replace as well, as `known_secrets` gives them.
    """
    # Before, as a part of them may look like a name; after, as JSON may be written anew.
    return _hidden(_text(_hidden(text, hide)), hide)


def mask_value(value: Any, *, hide: Iterable[str] = ()) -> Any:
    """Return a value of JSON as it can be printed: texts at any depth, by their keys too."""
    if isinstance(value, str):
        return mask_text(value, hide=hide)
    if isinstance(value, (list, tuple)):
        return [mask_value(item, hide=hide) for item in _list(list(value))]
    if isinstance(value, dict):
        return {k: mask_value(v, hide=hide) for k, v in _dict(value).items()}
    return value


def _hidden(text: str, hide: Iterable[str]) -> str:
    pattern = _pattern(hide if isinstance(hide, frozenset) else frozenset(hide))
    return pattern.sub(MASK, text) if pattern else text


@functools.lru_cache(maxsize=16)
def _pattern(hide: frozenset[str]) -> re.Pattern[str] | None:
    # The longest first: one may be part of another. Plain words are hidden as words only.
    longest = sorted(hide, key=lambda secret: (-len(secret), secret))
    parts = [rf"\b{s}\b" if s.isalpha() and len(s) < 12 else re.escape(s) for s in longest]
    return re.compile("|".join(parts)) if parts else None


def _text(text: str) -> str:
    at = 0
    # The beginning of a value may look like a name, too.
    while setting := _SETTING.match(text, at):
        at = setting.end()
        if _names(setting[1], text[at:]):
            return text[:at] + (MASK if text[at:] else "")
    head, text = text[:at], text[at:]
    value = decoded(text)
    if value is not text:
        # JSON nested too deeply for Python is masked as text below.
        with contextlib.suppress(RecursionError):
            before, after = json.dumps(value), json.dumps(mask_value(value))
            text = text if before == after else after
    # JSON too: of a key that is there twice, the decoded form has but one.
    text = _replaced(text, looks.spans(text))
    text = _replaced(text, ((n.begin, n.end) for n in secret_text.named(text)))
    return head + _ENCODED.sub(_decoded, text)


def _decoded(match: re.Match[str]) -> str:
    """Return an address within an address: as it is, or without secrets and readable."""
    text = urllib.parse.unquote(match[0])
    # A part that is encoded twice is decoded by the next round.
    shown = text if text == match[0] else _text(text)
    return match[0] if shown == text else shown


def _replaced(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for begin, end in sorted(spans):
        if begin >= done:
            parts += [text[done:begin], MASK]
        done = max(done, end)
    return "".join(parts) + text[done:]


def _dict(value: dict[Any, Any]) -> dict[Any, Any]:
    # {"name": "API_KEY", "value": …}, as container specifications have it.
    lower = {str(key).lower(): item for key, item in value.items()}
    named = looks_secret(str(lower.get("name") or lower.get("key") or ""))
    return {
        key: MASK
        if _holds(item) and (_names(str(key), item) or (named and str(key).lower() == "value"))
        else item
        for key, item in value.items()
    }


def _list(items: list[Any]) -> list[Any]:
    """Mask what follows a flag, or is the second of a pair, whose name looks secret."""
    masked_items = [_text(item) if isinstance(item, str) else item for item in items]
    for i, (name, item) in enumerate(itertools.pairwise(items), start=1):
        if not isinstance(name, str) or not _names(name, item) or not _holds(item):
            continue
        flag = name.startswith("-") and "=" not in name and not str(item).startswith("--")
        if flag or (len(items) == 2 and re.fullmatch(r"[\w.-]+", name)):
            masked_items[i] = MASK
    return masked_items


def _names(name: str, value: Any) -> bool:
    return looks_secret(name) and not is_figure(name, value)


def _holds(value: Any) -> bool:
    if isinstance(value, (str, list, tuple, dict)):
        return bool(value)
    # Numbers may be numpy's, which cannot be compared with everything.
    return value is not None and not isinstance(value, bool)
