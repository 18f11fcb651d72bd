"""What must not be printed: found by its name or by its looks, and replaced by `***`.

Names say most: a variable, a key of JSON, a flag. Values are told where their shape alone gives
them away, and a value that some name has given away is hidden wherever else it turns up. Where it
is unclear where a secret ends, too much is hidden rather than too little.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MASK = "***"

# Whose value is a secret, wherever it stands.
_STRONG = re.compile(
    r"SECRET|TOKEN(?!I[SZ])|PASSWORD|PASSWD|PASSPHRASE|(?:^|[_.-])PASS$|[_.-]PWD$|AUTHORIZATION"
    r"|(?:API|ACCESS|PRIVATE|ACCOUNT|ENCRYPTION|SIGNING|SSH)[_.-]?KEY|COOKIE",
    re.IGNORECASE,
)
# Whose value may be one, or an ordinary word, as in DESKTOP_SESSION: hidden only under its name.
_WEAK = re.compile(r"CREDENTIAL|PRIVATE|SESSION|(?:^|[_.-])(?:AUTH|SIG)$|[_.-]KEY$", re.IGNORECASE)
# And in the query of an address, where `signature` is no function's.
_QUERY = re.compile(r"SIGNATURE|^SIG$|^KEY$|^CODE$", re.IGNORECASE)
# `NoCredentialsError: …` is a kind of error, and `secrets.py: …` a file.
_NO_NAME = re.compile(r"(?:Error|Exception|Warning|Fault|\.py)$")
# Short values would blot out half of every text.
_SHORTEST = 6

_LOOKS = re.compile(
    r"""
    -----BEGIN\ [^-]+-----.*?(?:-----END\ [^-]+-----|\Z)                      # PEM
    | (?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}                              # AWS key id
    | (?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?                          # JSON web token
    | (?<![\w-])(?:ya29\.[\w.-]{8,}|AIza[\w-]{30,})                           # Google
    | (?<!\w)(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|hf_\w{20,}|glpat-[\w-]{16,})
    | (?<!\w)xox[abeprs]-[\w-]{10,}                                           # Slack
    | (?<=://)[^/\s?\#@"'<>]+(?=@)                                            # user:password@
    | (?<=[Bb]earer\ )[\w.~+/=-]{12,}
    """,
    re.VERBOSE | re.DOTALL,
)
# ssh://git@host names a user only, and everybody's.
_SSH_USER = re.compile(r"(?:ssh|sftp|git\+ssh)://$")

# A name and what stands between it and its value: `NAME=`, `name: `, `"name":`, `--name `, and in
# the printed form of a list or tuple `'name', `.
_NAMED = re.compile(
    r"""
    (?<![\w.-])(?P<quote>\\*["'])(?P<quoted>[\w.-]+)(?P=quote)\s*[=:]\s*
    | (?:\((?P<open>\\*["'])|(?P<dash>\\*["'])(?=-))(?P<item>[\w.-]+)(?:(?P=open)|(?P=dash)),\s*
    | (?<![\w.-])(?P<plain>[\w.-]+)[ \t]*(?:=[ \t]*|(?P<colon>:)(?:[ \t]+|(?=["'])))
    | (?<![\w.-])(?P<flag>--[\w.-]+)[ ]+(?!-)
    """,
    re.VERBOSE,
)
# An argument or a setting as a whole: whatever is in the value, nothing follows it.
_SETTING = re.compile(r"([\w.-]+)=")
_NOTHING = re.compile(
    r"""(?:null|None|true|True|false|False|\{\}|\[\]|(\\*["'])\1|\*{3})(?![^\s,;)\]}"'&\\])"""
)
_QUOTED = re.compile(r"""(?P<open>\\*["']).*?(?P<close>(?<!\\)(?P=open)|\Z)""", re.DOTALL)
_LISTED = re.compile(r"[\[{(].*", re.DOTALL)
_BARE = re.compile(r"(?:(?:Basic|Bearer|Digest|Token)\s+)?[^\s]+")
_IN_QUERY = re.compile(r"[^\s&\"'<>]+")


def masked(env: Mapping[str, str]) -> dict[str, str]:
    """An environment that can be printed.

    Args:
        env: Variables, some of which may hold JSON.

    Returns:
        The same names; secrets replaced, also inside of JSON, and all else unchanged.
    """
    hide = known(env)
    return {k: MASK if v and looks_secret(k) else mask_text(v, hide=hide) for k, v in env.items()}


def masked_argv(argv: Sequence[str], *, hide: Iterable[str] = ()) -> list[str]:
    """Arguments that can be printed: `--token=x`, `--token x` and `--hp token=x` are masked."""
    return [_hidden(item, hide) if isinstance(item, str) else item for item in _list(list(argv))]


def mask_text(text: str, *, hide: Iterable[str] = ()) -> str:
    """A log line, an error's text or any other value that can be printed.

    Args:
        text: Text of any length; JSON is masked by its keys, and stays JSON.
        hide: Values to replace as well, as `known` gives them.
    """
    return _hidden(_text(text), hide)


def mask_value(value: Any, *, hide: Iterable[str] = ()) -> Any:
    """The same for what JSON can hold: texts in lists and objects, by their keys too."""
    if isinstance(value, str):
        return mask_text(value, hide=hide)
    if isinstance(value, (list, tuple)):
        return [mask_value(item, hide=hide) for item in _list(list(value))]
    if isinstance(value, dict):
        return {k: mask_value(v, hide=hide) for k, v in _dict(value).items()}
    return value


def looks_secret(name: str) -> bool:
    """Whether a variable, key or flag of this name holds a secret."""
    return bool(_STRONG.search(name) or _WEAK.search(name)) and not _NO_NAME.search(name)


def known(env: Mapping[str, str]) -> frozenset[str]:
    """The secrets that an environment names, long enough to be looked for in any text."""
    found: set[str] = set()
    for name, value in env.items():
        with contextlib.suppress(RecursionError):
            found.update(_named_in({name: value}))
    # As they stand in JSON, in Python's own form and in URLs.
    forms = (
        lambda text: text,
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: urllib.parse.quote(text, safe=""),
    )
    return frozenset(form(text) for text in found if len(text) >= _SHORTEST for form in forms)


def _named_in(value: Any) -> Iterator[str]:
    """The texts that stand under a strong name, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _named_in(_decoded(item))
    elif isinstance(value, dict):
        for name, held in value.items():
            if isinstance(held, str) and _STRONG.search(name):
                yield held
            yield from _named_in(_decoded(held))


def _hidden(text: str, hide: Iterable[str]) -> str:
    # The longest first: one may be part of another.
    for secret in sorted(hide, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _text(text: str) -> str:
    at = 0
    # What a value begins with may look like a name, too.
    while setting := _SETTING.match(text, at):
        at = setting.end()
        if looks_secret(setting[1]):
            return text[:at] + (MASK if text[at:] else "")
    head, text = text[:at], text[at:]
    decoded = _decoded(text)
    if decoded is not text:
        # Deeper than Python goes is left to what follows.
        with contextlib.suppress(RecursionError):
            before, after = json.dumps(decoded), json.dumps(mask_value(decoded))
            text = text if before == after else after
    # JSON too: of a key that is there twice, the decoded form has but one.
    return head + _by_name(_LOOKS.sub(_looked, text))


def _looked(match: re.Match[str]) -> str:
    if match[0].isidentifier() and _SSH_USER.search(match.string, 0, match.start()):
        return match[0]
    return MASK


def _by_name(text: str) -> str:
    """Replace what stands behind a name that looks secret."""
    parts: list[str] = []
    done = 0
    for match in _NAMED.finditer(text):
        name = match["quoted"] or match["item"] or match["plain"] or match["flag"]
        at = match.end()
        before = text[match.start() - 1 : match.start()]
        in_query = before in ("?", "&")
        secret = looks_secret(name) or (in_query and _QUERY.search(name))
        # `/data/tokens: is empty` speaks of a folder.
        path = match["colon"] and before == "/"
        if match.start() < done or path or not secret or _NOTHING.match(text, at):
            continue
        bare = _IN_QUERY if in_query else _BARE
        value = _QUOTED.match(text, at) or _LISTED.match(text, at) or bare.match(text, at)
        if value and value[0]:
            quotes = (value["open"], value["close"]) if "open" in value.groupdict() else ("", "")
            parts += [text[done:at], quotes[0], MASK, quotes[1]]
            done = value.end()
    return "".join(parts) + text[done:]


def _dict(value: dict[Any, Any]) -> dict[Any, Any]:
    # {"name": "API_KEY", "value": …}, as container specifications have it.
    lower = {str(key).lower(): item for key, item in value.items()}
    named = looks_secret(str(lower.get("name") or lower.get("key") or ""))
    return {
        key: MASK
        if _holds(item) and (looks_secret(str(key)) or (named and str(key).lower() == "value"))
        else item
        for key, item in value.items()
    }


def _list(items: list[Any]) -> list[Any]:
    """Mask what follows a flag, or is the second of a pair, whose name looks secret."""
    masked_items = [_text(item) if isinstance(item, str) else item for item in items]
    for i, (name, item) in enumerate(itertools.pairwise(items), start=1):
        if not isinstance(name, str) or not looks_secret(name) or not _holds(item):
            continue
        flag = name.startswith("-") and "=" not in name and not str(item).startswith("--")
        if flag or (len(items) == 2 and re.fullmatch(r"[\w.-]+", name)):
            masked_items[i] = MASK
    return masked_items


def _holds(value: Any) -> bool:
    return not isinstance(value, bool) and value not in (None, "", [], {}, ())


def _decoded(value: Any) -> Any:
    """JSON as what it says, but numbers and plain words as the text they are."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", '"')):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
