"""A command of `trainer submit` while its parts are gathered from a script."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.config import Hparams, Job, UserError, flag_of, flags_of, job_from_flags, options_of
from trainer.migration.commands import Flag, LeftOut, ShellCommand
from trainer.migration.target import Target
from trainer.migration.values import Given, is_known, joined
from trainer.runtime import MASK, masked_environment

# A value that is masked where its name says that it is a secret.
LIKE_A_SECRET = "x1Y2z3" * 4
SECRET = "put the value of {} in the place of ***, which hides it here"


@dataclass(kw_only=True)
class Draft:
    """The parts of one command.

    Attributes:
        target: Where the job is to run.
        line: The line of the script that describes the job.
        flags: The flags of `trainer submit`, by field.
        fields: The options of the job whose values are known, by field.
        open: Those whose values exist only while the script runs.
        own: Hyperparameters that are none of the trainer's.
        notes: What is not carried over.
        secrets: Values that no message may show, by name.
        moved: Addresses of data in S3, with those where it has to be copied to.
        raw: Flags of the job as the script has them already.
    """

    target: Target
    line: int
    flags: dict[str, Flag] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    open: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    notes: list[LeftOut] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    moved: list[tuple[Any, Any]] = field(default_factory=list)
    raw: list[Flag] = field(default_factory=list)

    def note(self, given: Given | int, name: str, remedy: str) -> None:
        """LeftOut an argument that is not carried over."""
        if isinstance(given, int):
            self.notes.append(LeftOut(line=given, name=name, remedy=remedy))
            return
        named = given.source if is_known(given.value) else ""
        shown = masked_environment({name: named or given.source})[name]
        self.notes.append(LeftOut(line=given.line, name=name, source=shown, remedy=remedy))

    def rename(self, names: Mapping[str, str]) -> None:
        """Give arguments in the notes the names that the script has for them."""
        self.notes = [
            dataclasses.replace(note, name=names.get(note.name, note.name)) for note in self.notes
        ]

    def set(self, option: str, *values: Any) -> None:
        """Set a flag of `trainer submit`; one without values is a switch."""
        self.flags[option] = Flag(name=flag_of(option), values=values)

    def set_pairs(self, option: str, pairs: dict[str, Any], line: int) -> None:
        """Set a flag that takes `NAME=VALUE`, without the values that are secrets."""
        texts = []
        for name, value in pairs.items():
            text = joined(f"{name}=", self.shown(name, value, line))
            if text is None:
                self.note(line, f"{flag_of(option)} {name}", "is no text: add it yourself")
            else:
                texts.append(text)
        if texts:
            self.set(option, *texts)

    def shown(self, name: str, value: Any, line: int) -> Any:
        """Return a value as it may be printed: a secret as `***`, with a note."""
        text = value if isinstance(value, str) else LIKE_A_SECRET
        if masked_environment({name: text})[name] == text:
            return value
        self.secrets[name] = text
        self.note(line, "hidden", SECRET.format(name))
        return MASK if not isinstance(value, str) else masked_environment({name: text})[name]

    def command(self, about: str) -> ShellCommand:
        """Return the command."""
        first = Flag(name="--to", values=(self.target.place,))
        ordered = [self.flags.pop(name) for name in ("name", "image") if name in self.flags]
        return ShellCommand(
            verb="trainer submit",
            flags=(first, *ordered, *self.flags.values()),
            job=(*self.raw, *self._job_flags(), *self._open_flags(), *self._own_flags()),
            about=about,
            line=self.line,
        )

    def _job_flags(self) -> list[Flag]:
        """Return the flags of `trainer train` for what is known, if they suit each other."""
        values = dict(self.fields)
        try:
            job = job_from_flags(values)
        except UserError:
            values = {}
            for name, value in self.fields.items():
                try:
                    job_from_flags({**values, name: value})
                    values[name] = value
                except UserError as error:
                    self.note(self.line, flag_of(name), str(error))
            job = job_from_flags(values)
        hp = {name: self.shown(name, value, self.line) for name, value in job.hparams.hp}
        job = dataclasses.replace(
            job, hparams=dataclasses.replace(job.hparams, hp=tuple(hp.items()))
        )
        return grouped(flags_of(job, set(values)))

    def _open_flags(self) -> list[Flag]:
        return [
            Flag(name=flag_of(name), values=(*value,) if isinstance(value, list) else (value,))
            for name, value in self.open.items()
        ]

    def _own_flags(self) -> list[Flag]:
        pairs = [
            joined(f"{name}=", self.shown(name, value, self.line))
            for name, value in self.own.items()
        ]
        return [Flag(name="--hp", values=tuple(pairs))] if pairs else []


def grouped(words: Sequence[str]) -> list[Flag]:
    """Return words of a command line as flags with their values."""
    found: list[Flag] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append(Flag(name=name, values=(value,) if equals else ()))
        else:
            found[-1] = dataclasses.replace(found[-1], values=(*found[-1].values, word))
    return found


def is_option(name: str) -> bool:
    """Return whether a name is a field of the trainer's own hyperparameters and options."""
    return name in options_of(Job) or name in options_of(Hparams)
