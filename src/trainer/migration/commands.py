"""Commands of `trainer`, and what of a script they do not carry over."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.migration.values import Unknown, parts_of

WIDTH = 88
# The time, which makes a name the only one of its kind.
STAMP = "$(date -u +%Y%m%d-%H%M%S)"
QUOTE = '"'
_SAFE = re.compile(r"[\w@%+=:,./*\[\]-]*")
# Shells and programs use these themselves.
_TAKEN = (
    "PATH", "HOME", "USER", "UID", "EUID", "PWD", "OLDPWD", "IFS", "PS1", "PS2", "PS4", "SHELL",
    "TERM", "LANG", "ENV", "RANDOM", "SECONDS", "PPID", "LINENO", "HOSTNAME", "OPTARG", "OPTIND",
    "REPLY", "EDITOR", "PAGER", "DISPLAY", "TMPDIR", "GROUPS", "STATUS",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag with its values, each text, parts of which may exist only while the script runs.

    Attributes:
        name: Its name; empty for a plain argument.
        values: Its values; a switch has none.
        stamped: True if the date and time is added, so that each job has a name of its own.
    """

    name: str
    values: tuple[Any, ...] = ()
    stamped: bool = False


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """A command line.

    Attributes:
        verb: The words of the program and its verb: `trainer submit`.
        flags: Its flags.
        job: The flags behind `--`; None for a verb that passes nothing on.
        about: What it does in the place of which line.
        line: That line of the script.
        assigns: The variable that a line sets, which is no command then.
    """

    verb: str
    flags: tuple[Flag, ...]
    job: tuple[Flag, ...] | None = None
    about: str = ""
    line: int = 0
    assigns: Unknown | None = None


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Something of a script that no command carries over.

    Attributes:
        line: Where it stands.
        name: The argument or the function.
        source: Its value, as the script has it; may be empty.
        remedy: What to do.
        place: Where it stands, if that is in another file.
    """

    line: int
    name: str
    source: str = ""
    remedy: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """The shell variables that stand for what exists only while the script runs."""

    names: dict[Unknown, str] = field(default_factory=dict)

    def of(self, value: Unknown) -> str:
        """Return the variable of a value, the same for the same expression."""
        for other, name in self.names.items():
            if other.source == value.source and (other.name == value.name or value.is_call):
                return name
        plain = re.sub(r"\W+", "_", value.name, flags=re.ASCII).strip("_").upper() or "VALUE"
        if plain in _TAKEN or plain[0].isdigit():
            plain = f"MY_{plain}"
        name, number = plain, 2
        while name in self.names.values():
            name, number = f"{plain}_{number}", number + 1
        self.names[value] = name
        return name


@dataclass(frozen=True, kw_only=True)
class Migration:
    """The commands that take the place of a script.

    Attributes:
        commands: In the order of the script.
        notes: What they do not carry over, in the order of its lines.
        variables: The values that a reader has to fill in.
        places: Where each line of the script stands, for people.
        secrets: Values by name that no message may show.
    """

    commands: tuple[ShellCommand, ...]
    notes: tuple[LeftOut, ...]
    variables: Variables
    places: tuple[str, ...]
    secrets: Mapping[str, str] = field(default_factory=dict)


def quoted(value: Any, variables: Variables) -> str:
    """Return a text as one word of a shell, variables in their place."""
    parts = parts_of(value)
    if all(isinstance(part, str) for part in parts):
        return shlex.quote("".join(map(str, parts)))
    if all(isinstance(part, Unknown) or _SAFE.fullmatch(part) for part in parts):
        inside = [
            f"${{{variables.of(p)}}}" if isinstance(p, Unknown) and _touches(parts, i)
            else f"${variables.of(p)}" if isinstance(p, Unknown) else p
            for i, p in enumerate(parts)
        ]  # fmt: skip
        return f'"{"".join(inside)}"'
    return "".join(
        f'"${variables.of(part)}"' if isinstance(part, Unknown) else shlex.quote(part)
        for part in parts
    )


def _touches(parts: tuple[str | Unknown, ...], number: int) -> bool:
    """Return whether a letter behind a variable would be read as one of its name."""
    after = parts[number + 1] if number + 1 < len(parts) else ""
    return isinstance(after, str) and bool(re.match(r"[\w\[]", after))


def words(flags: tuple[Flag, ...], variables: Variables) -> Iterator[str]:
    """Yield each flag with its values, as a shell takes them."""
    for flag in flags:
        values = [quoted(value, variables) for value in flag.values]
        if flag.stamped:
            values = [f'"{values[0].strip(QUOTE)}-{STAMP}"']
        if not flag.name:
            yield from values
        elif any(text.startswith(("-", "'-", '"-')) for text in values):
            # As words of their own they would be flags.
            yield from (f"{flag.name}={text}" for text in values)
        else:
            yield " ".join([flag.name, *values])


def text_of(command: ShellCommand, variables: Variables) -> str:
    """Return a command as it can be pasted into a shell, over several lines where it is long."""
    if command.assigns is not None:
        return f"{variables.of(command.assigns)}={next(words(command.flags, variables))}"
    parts = [command.verb, *words(command.flags, variables)]
    if command.job:
        parts += ["--", *words(command.job, variables)]
    lines, line = [], ""
    for part in parts:
        if line and len(line) + len(part) + 1 > WIDTH:
            lines.append(line)
            line = f"    {part}"
        else:
            line = f"{line} {part}" if line else part
    return " \\\n".join([*lines, line])
