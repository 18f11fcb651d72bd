"""The format of a command's lines before its flags are parsed, which may fail."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from trainer.platforms import Environment, detect_platform

_FLAG = "--log-format"
# Verbs that have the flag.
_VERBS = ("train", "serve")


def log_format(argv: Sequence[str], env: Mapping[str, str], *, verb: str | None = None) -> str:
    """Return the format that the flag asks for, else that of the platform.

    Args:
        argv: The arguments of the process.
        env: Its environment.
        verb: What it is to do, by default the first argument.
    """
    verb = verb or next(iter(argv), "")
    if verb not in _VERBS:
        return "text"
    form = ""
    for argument, following in itertools.zip_longest(argv, argv[1:], fillvalue=""):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == _FLAG:
            form = value if equals else following
    if form in ("text", "json"):
        return form
    if verb == "serve":
        return "text"
    platform, _ = detect_platform(Environment(env=env, argv=argv))
    signs = [name for name, field in platform.variables.items() if field == "log_format"]
    return "json" if any(env.get(name) for name in signs) else "text"
