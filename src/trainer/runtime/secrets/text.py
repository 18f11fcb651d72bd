"""Secrets in free text that stand behind their names: `NAME=…`, `name: …`, `--name …`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainer.runtime.secrets.names import (
    is_figure,
    looks_secret,
    secret_in_connection,
    secret_in_query,
    surely_secret,
)

# A name and what stands between it and its value: `NAME=`, `name: `, `"name":`, `--name `, and in
# the printed form of a list or tuple `'name', `.
_NAMED = re.compile(
    r"""
    (?<![\w.-])(?P<quote>\\*["'])(?P<quoted>[\w.-]+)(?P=quote)\s*[=:]\s*
    | (?:\((?P<open>\\*["'])|(?P<dash>\\*["'])(?=-))(?P<item>[\w.-]+)(?:(?P=open)|(?P=dash)),\s*
    | (?<![\w.-])(?P<plain>[\w.-]+)[ \t]*(?:=[ \t]*|(?P<colon>:)(?:[ \t]+|(?=["'])|(?P<tight>)))
    | (?<![\w.-])(?P<flag>--[\w.-]+)[ ]+(?![-(])
    | <(?P<tag>[\w.-]+)>(?=[^<\s])
    """,
    re.VERBOSE,
)
# Neither are commands of a shell that ask for a token, as in the example of a call.
_NOTHING = re.compile(
    r"""(?:null|[Nn]one|true|True|false|False|\{\}|\[\]|(\\*["'])\1|\*{3}
    |(?:Bearer[ ])?\$\(gcloud[ ]auth[ ](?:application-default[ ])?print-access-token\)
    )(?![^\s,;)\]}"'&\\])""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"""(?P<open>\\*["']).*?(?P<close>(?<!\\)(?P=open)|\Z)""", re.DOTALL)
_LISTED = re.compile(r"[\[{(].*", re.DOTALL)
_BARE = re.compile(r"(?:(?:Basic|Bearer|Digest|Token)\s+)?[^\s]+")
_TIGHT = re.compile(r"(?![/:])[^\s]{6,}")
_IN_QUERY = re.compile(r"[^\s&\"'<>]+")
_IN_TAG = re.compile(r"[^<]+")
# These have blanks, commas and semicolons in them.
_HEADER = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie", re.IGNORECASE)
_LINE = re.compile(r"[^\n\"']+")
_IN_CONNECTION = re.compile(r"[^;\n\"']+(?=;)|[^\s]+")


@dataclass(frozen=True, slots=True)
class Named:
    """A value that is a secret by its name.

    Attributes:
        begin: Where it begins, without quotes.
        end: Where it ends.
        sure: Whether it is a secret wherever else it turns up.
    """

    begin: int
    end: int
    sure: bool


def named(text: str) -> Iterator[Named]:
    """Yield the values that stand behind a name that looks secret, in order."""
    done = 0
    for match in _NAMED.finditer(text):
        name = match["quoted"] or match["item"] or match["plain"] or match["flag"] or match["tag"]
        at = match.end()
        before = text[match.start() - 1 : match.start()]
        if name.startswith("u0026") and before == "\\":
            name, before = name[5:], "&"
        # `/data/tokens: is empty` speaks of a folder.
        path = match["colon"] and before == "/"
        if match.start() < done or path or _NOTHING.match(text, at):
            continue
        if not (looks_secret(name) or _in_context(name, before)):
            continue
        if match["tight"] is not None and not surely_secret(name):
            continue
        if match["tag"]:
            value = _IN_TAG.match(text, at)
        elif match["colon"] and match["tight"] is None and _HEADER.fullmatch(name):
            value = _QUOTED.match(text, at) or _LINE.match(text, at)
        else:
            value = _value(text, at, before=before, tight=match["tight"] is not None)
        if value is None or not value[0]:
            continue
        begin, end = value.span()
        done = end
        if is_figure(name, value[0].strip("\\\"'").rstrip(",;:.)]}\\\"'")):
            continue
        if "open" in value.groupdict():
            begin, end = begin + len(value["open"]), end - len(value["close"])
        yield Named(begin, end, surely_secret(name) or before == ";")


def _in_context(name: str, before: str) -> bool:
    if before in ("?", "&"):
        return secret_in_query(name)
    return before == ";" and secret_in_connection(name)


def _value(text: str, at: int, *, before: str, tight: bool) -> re.Match[str] | None:
    if tight:
        return _TIGHT.match(text, at)
    bare = {"?": _IN_QUERY, "&": _IN_QUERY, ";": _IN_CONNECTION}.get(before, _BARE)
    return _QUOTED.match(text, at) or _LISTED.match(text, at) or bare.match(text, at)
