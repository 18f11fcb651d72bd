"""The values of calls that are common in scripts: text, paths, roles, buckets, variables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.migration.values import (
    LONGEST,
    Text,
    Unknown,
    is_known,
    is_text,
    joined,
    parts_of,
    simplified,
)

_FIELD = re.compile(r"\{(\w*)(?:\[[^\]]*\]|\.\w+)*(?::[^{}]*)?\}")
_PERCENT = re.compile(r"%(?:\((\w+)\))?[-+0-9.]*([sdrfgi%])")
# Words that a shell takes as they are, without quotes.
_PLAIN = re.compile(r"[\w@%+=:,./-]{1,200}")
# Functions that ask a service or the environment, and the name that their value gets.
_ASKED: Mapping[str, str] = {
    "get_execution_role": "role", "default_bucket": "bucket", "get_caller_identity": "account",
    "account_id": "account", "get_image_uri": "image", "retrieve": "image",
}  # fmt: skip
# The folder that a script runs in, and files by their own names.
_SAME = ("os.path.abspath", "os.path.expanduser", "os.path.realpath", "os.path.normpath")
# The most rounds of a loop that are worked out.
_MOST_ROUNDS = 200
# Where an upload goes that names no bucket.
DEFAULT_BUCKET = "default bucket of the SageMaker session"


def call_value(path: str, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Return the value of a call of a function, by its dotted path; None where it is not known."""
    name = path.rpartition(".")[2]
    if path in ("os.environ.get", "os.getenv") and args and isinstance(args[0], str):
        otherwise = args[1] if len(args) > 1 else keywords.get("default")
        return Unknown(name=args[0], source="", line=0, default=default_text(otherwise))
    if name in ("name_from_base", "unique_name_from_base") and args:
        return joined(args[0], "-", Unknown(name="timestamp", source=f"{name}()", line=0))
    if name in _ASKED:
        source = DEFAULT_BUCKET if name == "default_bucket" else ""
        return Unknown(name=_ASKED[name], source=source, line=0)
    function = _FUNCTIONS.get(path)
    if function is None:
        return None
    try:
        return function(args, keywords)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def default_text(value: Any) -> str | None:
    """Return a value that a script takes where nobody gives another, as text of a shell."""
    usable = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if usable and _PLAIN.fullmatch(str(value)) else None


def text_method(
    text: Any, method: str, args: Sequence[Any], keywords: Mapping[str, Any] | None = None
) -> Any:
    """Return what a method of a text returns; None where that is not known.

    Args:
        text: The text, parts of which may be unknown.
        method: `format`, `join`, `%` or one that changes letters.
        args: Its arguments.
        keywords: Its arguments by keyword.
    """
    if method == "format" and isinstance(text, str):
        return _formatted(text, args, keywords or {})
    if method == "%" and isinstance(text, str):
        return _percent(text, args[0])
    if method == "join" and isinstance(text, str) and args and isinstance(args[0], list):
        between = [part for each in args[0] for part in (text, each)][1:]
        return joined(*between)
    if method in ("resolve", "absolute", "expanduser", "as_posix"):
        # Those of a path.
        return text
    plain = ("strip", "rstrip", "lstrip", "lower", "upper", "replace", "title", "split")
    if isinstance(text, str) and method in plain and all(isinstance(each, str) for each in args):
        if method == "replace" and len(text) * max(1, len(args[-1])) > LONGEST:
            return None
        try:
            return getattr(text, method)(*args)
        except (TypeError, ValueError):
            return None
    # A slash more or less at an end that is known.
    if isinstance(text, Text) and method in ("rstrip", "strip") and isinstance(text.parts[-1], str):
        return simplified([*text.parts[:-1], text.parts[-1].rstrip(*args[:1])])
    return None


def _formatted(text: str, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    parts: list[Any] = []
    at, count = 0, 0
    escaped = text.replace("{{", "\0").replace("}}", "\1")
    for match in _FIELD.finditer(escaped):
        parts.append(_braces(escaped[at : match.start()]))
        at = match.end()
        name = match[1] or str(count)
        count += not match[1]
        if match[0] != f"{{{match[1]}}}":
            # A format of its own, or a part of a value.
            return None
        if name.isdecimal() and int(name[:4]) < len(args):
            parts.append(args[int(name[:4])])
        elif name in keywords:
            parts.append(keywords[name])
        else:
            return None
    return joined(*parts, _braces(escaped[at:]))


def _braces(text: str) -> str:
    return text.replace("\0", "{").replace("\1", "}")


def _percent(text: str, given: Any) -> Any:
    args = given if isinstance(given, list) else [given]
    parts: list[Any] = []
    at, count = 0, 0
    for match in _PERCENT.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match[2] == "%":
            parts.append("%")
        elif match[1]:
            if not isinstance(given, dict) or match[1] not in given:
                return None
            parts.append(given[match[1]])
        elif count < len(args):
            parts.append(args[count])
            count += 1
        else:
            return None
    return joined(*parts, text[at:])


def _path_join(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    parts: list[Any] = []
    for each in args:
        ends = [part for part in parts_of(each) if isinstance(part, str)]
        if parts and not (isinstance(parts[-1], str) and parts[-1].endswith("/")):
            parts.append("/")
        if isinstance(each, str) and each.startswith("/"):
            parts = []
        if not ends and not isinstance(each, Unknown):
            return None
        parts.append(each)
    return joined(*parts)


def _dict(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    first = args[0] if args else {}
    return {**first, **keywords} if isinstance(first, dict) else None


def _same(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function that converts a value that is known, and passes on any other."""

    def convert(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        value = args[0]
        if isinstance(value, (Unknown, Text)):
            return value
        usable = isinstance(value, (str, int, float)) and len(str(value)) < 100
        return kind(value) if usable or kind is str else None

    return convert


def _json(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return json.dumps(args[0]) if is_known(args[0]) else None


def _path(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return _path_join(args, keywords) if args else "."


def folder_above(text: Any) -> Any:
    """Return the folder that a path is in; None where that is not known."""
    *before, last = parts_of(text)
    if not isinstance(last, str) or (before and "/" not in last):
        return None
    folder, slash, name = last.rstrip("/").rpartition("/")
    if not before and (name in (".", "..", "") or not slash):
        return ".." if name in (".", "") else f"{last}/.." if name == ".." else "."
    return simplified([*before, folder or ("" if before else "/")])


def _above(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return folder_above(args[0]) if is_text(args[0]) else None


def _range(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    found = range(*args)
    return [*found] if len(found) <= _MOST_ROUNDS else None


def _zip(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return [[*each] for each in zip(*args, strict=False)] if _are_lists(args) else None


def _enumerate(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return [[number, each] for number, each in enumerate(args[0])] if _are_lists(args) else None


def _are_lists(args: Sequence[Any]) -> bool:
    return bool(args) and all(isinstance(each, list) for each in args)


def _listed(args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    return [*args[0]] if args and isinstance(args[0], (list, dict)) else None


_FUNCTIONS: Mapping[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
    "dict": _dict, "list": _listed, "tuple": _listed, "str": _same(str), "int": _same(int),
    "float": _same(float), "json.dumps": _json, "os.path.join": _path_join,
    **{name: lambda args, keywords: args[0] for name in _SAME},
    **dict.fromkeys(("Path", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"), _path),
    "os.path.dirname": _above, "range": _range, "zip": _zip, "enumerate": _enumerate,
    "os.getcwd": lambda args, keywords: ".", "print": lambda args, keywords: "",
}  # fmt: skip
