"""The shell script that `trainer migrate` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from trainer.backends import BACKENDS, SubmitOptions
from trainer.config import Hparams, Job, option_types, options_of
from trainer.migration.commands import (
    STAMP,
    Flag,
    LeftOut,
    Migration,
    ShellCommand,
    Variables,
    text_of,
)
from trainer.migration.draft import LIKE_A_SECRET
from trainer.migration.values import Unknown, parts_of
from trainer.runtime import masked_environment

WIDTH = 88
# A value for what is not known, which every option takes that takes any text.
_ANY = "1"
# Flags that take an address of a store.
_ADDRESSES = ("--output", "--checkpoint-dir", "--staging-bucket", "--artifacts")


def script_lines(found: Migration, refusal: Callable[[Sequence[str]], str | None]) -> Iterator[str]:
    """Yield the lines of a shell script with the commands, and comments on what they leave out.

    Args:
        found: The commands.
        refusal: Returns why `trainer` refuses the arguments of a command, or None.
    """
    variables = Variables()
    for command in found.commands:
        if command.assigns is not None:
            variables.of(command.assigns)
    texts = [text_of(command, variables) for command in found.commands]
    named = [(name, value) for value, name in variables.names.items() if value.source]
    asked = [(name, value) for name, value in named if not _default(name, value)]
    if asked:
        yield "# These values exist only while the script runs. Set them first, as in ROLE=…"
        for name, value in asked:
            yield f': "${{{name}{_reminder(name, value)}{_where(found, value)}}}"'
        yield ""
    if len(asked) < len(named):
        yield "# These have defaults: the script's own, or the time. Set others first."
        for name, value in named:
            if _default(name, value):
                comment = f"{_plain(value.source)}{_where(found, value)}"
                yield f': "${{{name}:={_default(name, value)}}}"  # {comment}'
        yield ""
    for command, text in zip(found.commands, texts, strict=True):
        yield f"# {_place(found, command.line)}: {command.about}"
        why = refusal(plain_words(command)) if command.assigns is None else None
        if why:
            yield from _comment(f"trainer refuses this as it stands: {why}")
        yield from [text, ""]
    if found.notes:
        yield "# Not carried over:"
    for note in found.notes:
        yield _note_line(found, note)


def _default(name: str, value: Unknown) -> str:
    """Return what a variable is where the user does not set it; empty for nothing."""
    if value.is_stamp:
        return STAMP
    text = value.default or ""
    return text if masked_environment({name: text})[name] == text else ""


def _reminder(name: str, value: Unknown) -> str:
    """Return what a shell says where a variable is not set."""
    if masked_environment({name: LIKE_A_SECRET})[name] != LIKE_A_SECRET:
        # A colon behind such a name would have the rest of the line masked.
        return "?a secret"
    return f":?{_plain(value.source)}"


def _note_line(found: Migration, note: LeftOut) -> str:
    value = f"={note.source}" if note.source else ""
    place = note.place or _place(found, note.line)
    return f"# {place}: {note.name}{value}: {note.remedy}".replace("\n", " ")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="#   ")


def _place(found: Migration, line: int) -> str:
    return found.places[line - 1] if 0 < line <= len(found.places) else "the script"


def _where(found: Migration, value: Unknown) -> str:
    return f", {_place(found, value.line)}" if 0 < value.line <= len(found.places) else ""


def _plain(text: str) -> str:
    """Return an expression without what a shell would take for its own inside of quotes."""
    return "".join(each for each in text if each.isalnum() or each in " ._-+/:,()[]=").strip()


def plain_words(command: ShellCommand) -> list[str]:
    """Return a command's arguments with some value in the place of what is not known."""
    store = (
        "gs" if "vertex" in [value for flag in command.flags[:1] for value in flag.values] else "s3"
    )
    found = [*command.verb.split()[1:], *_plain_flags(command.flags, store)]
    if command.job is not None:
        found += ["--", *_plain_flags(command.job, store)]
    return found


def _plain_flags(flags: Sequence[Flag], store: str) -> Iterator[str]:
    for flag in flags:
        if any(isinstance(value, Unknown) for value in flag.values) and _is_narrow(flag.name):
            continue
        values = [_plain_value(flag, value, store) for value in flag.values]
        if flag.stamped:
            values = [f"{values[0]}-20260101-000000"]
        if any(value.startswith("-") for value in values):
            yield from (f"{flag.name}={value}" for value in values)
        else:
            yield from [*([flag.name] if flag.name else []), *values]


def _plain_value(flag: Flag, value: object, store: str) -> str:
    first, *rest = parts_of(value)
    if isinstance(first, Unknown) and flag.name in _ADDRESSES:
        end = "".join(part if isinstance(part, str) else _ANY for part in rest)
        return f"{store}://bucket{end}"
    if isinstance(value, Unknown) and flag.name == "--name":
        return "job"
    return "".join(part if isinstance(part, str) else _ANY for part in parts_of(value))


def _is_narrow(flag: str) -> bool:
    """Return whether a flag takes but some values, such as numbers."""
    name = flag.removeprefix("--").replace("-", "_")
    for kind in (SubmitOptions, Job, Hparams, *(each.options for each in BACKENDS.values())):
        option = options_of(kind).get(name)
        if option is not None and (option.choices or option_types(kind)[name] is not str):
            return not option.many
    return False
