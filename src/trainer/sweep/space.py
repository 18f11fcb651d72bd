"""The space that a sweep searches, read from the flags of `trainer train`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import (
    KIND_NAMES,
    Hparams,
    Job,
    MetricGoal,
    Option,
    UserError,
    convert_value,
    flag_of,
    job_from_flags,
    option_types,
    options_of,
)
from trainer.models import not_stated, own_hparams

# The folders that each trial has for itself.
OWN = ("model_dir", "output_dir", "job_dir", "checkpoint_dir", "log_dir", "timeline")
# One value of these has commas itself.
WITH_COMMAS = ("image_size", "pixel_range", "metric")
DIFFERENT = "expected different values with commas between"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that is searched for: a range of numbers, or a choice.

    Attributes:
        name: The name of the field, or of a hyperparameter of a user's model.
        own: True for a hyperparameter of a user's model.
        whole: True for a range of whole numbers.
        low: The least value of a range.
        high: The greatest value of a range.
        log: True if the range is searched by magnitude.
        step: The distance between values of a range, or None.
        choices: The values of a choice; empty for a range.
    """

    name: str
    own: bool = False
    whole: bool = False
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[str, ...] = ()

    def flags(self, value: Any) -> list[str]:
        """Return the arguments of `trainer train` that set a value."""
        return ["--hp", f"{self.name}={value}"] if self.own else [flag_of(self.name), str(value)]


@dataclass(frozen=True, kw_only=True)
class Space:
    """All that is searched for, and the arguments that all trials share."""

    dimensions: tuple[Dimension, ...]
    fixed: tuple[str, ...] = ()

    @property
    def goal(self) -> MetricGoal:
        """The figure that trials are compared by: that of `--metric`, else the accuracy."""
        given = [word.partition("=")[2] for word in self.fixed if word.startswith("--metric=")]
        return MetricGoal.of(given[-1]) if given else MetricGoal()


def read_space(values: Mapping[str, Any]) -> Space:
    """Read a space from flags.

    Args:
        values: The text of each flag that was given, by field name; a tuple of texts for those of
            several values, and of pairs for `hp`.

    Raises:
        UserError: A range contradicts itself or its option, or nothing is searched for.
    """
    dimensions: list[Dimension] = []
    fixed: list[str] = []
    plain: dict[str, Any] = {}
    for part in (Hparams, Job):
        kinds = option_types(part)
        for name, option in options_of(part).items():
            if name not in values:
                continue
            if name in OWN:
                raise UserError(
                    subject=flag_of(name), problem="each trial has a folder of its own below --out"
                )
            if name == "hp":
                module = values.get("module") or Job.module
                _read_own(values[name], module, dimensions, fixed)
            elif option.many:
                fixed += [flag_of(name), *values[name]]
            else:
                found = _read(name, values[name], option, kinds[name])
                if isinstance(found, Dimension):
                    dimensions.append(found)
                else:
                    fixed.append(f"{flag_of(name)}={values[name]}")
                plain[name] = found
    _check_names(dimensions, fixed)
    _check_job(plain)
    if not dimensions:
        raise UserError(
            subject="trainer sweep",
            problem="nothing to search for",
            remedy="give a flag several values, as in --learning-rate 0.001..0.1:log",
        )
    return Space(dimensions=tuple(dimensions), fixed=tuple(fixed))


def _check_names(dimensions: Sequence[Dimension], fixed: Sequence[str]) -> None:
    """Raise a UserError if two things that are searched for, or a fixed one, have one name."""
    names = [each.name for each in dimensions]
    own = [pair.partition("=")[0] for flag, pair in itertools.pairwise(fixed) if flag == "--hp"]
    for each in dimensions:
        if names.count(each.name) > 1 or (each.own and each.name in own):
            raise UserError(
                subject=f"--hp {each.name}", problem="given twice",
                remedy="give all its values at once, under a name of its own",
            )  # fmt: skip


def _check_job(plain: Mapping[str, Any]) -> None:
    """Raise a UserError for flags that contradict each other, as they would fail every trial."""
    kinds = option_types(Hparams) | option_types(Job)
    values: dict[str, list[Any]] = {}
    for name, found in plain.items():
        if not isinstance(found, Dimension):
            values[name] = [found]
        elif kinds[name] is str:
            values[name] = [*found.choices]
        else:
            values[name] = [convert_value(c, kinds[name]) for c in found.choices] or [found.low]
    first = {name: texts[0] for name, texts in values.items()}
    for name, texts in values.items():
        for text in texts:
            job_from_flags(first | {name: text})


def _read_own(
    pairs: Sequence[tuple[str, str]],
    module: str,
    dimensions: list[Dimension],
    fixed: list[str],
) -> None:
    """Add the hyperparameters of a module, whose `HPARAMS` say of which types they are."""
    stated = own_hparams(module)
    for name, text in pairs:
        subject = f"--hp {name}={text}"
        if stated and name not in stated:
            raise not_stated(name, stated, module)
        kind = type(stated[name].default) if name in stated else _kind(text)
        if kind in (int, float) and ".." in text:
            found = _range(subject, name, text, kind, own=True)
            tried: tuple[Any, ...] = (found.low, found.high)
        elif "," in text:
            found = Dimension(name=name, own=True, choices=_choices(subject, text))
            tried = found.choices
        else:
            found, tried = None, (text,)
        values = [stated[name].value(value) for value in tried] if name in stated else []
        if len({*values}) < len(values):
            raise UserError(subject=subject, problem=DIFFERENT)
        if found is None:
            fixed += ["--hp", f"{name}={text}"]
        else:
            dimensions.append(found)


def _kind(text: str) -> type:
    """Return the type of a range's ends; text of anything else."""
    low, dots, rest = text.partition("..")
    ends = (low, rest.partition(":")[0])
    if not dots or not all(map(_NUMBER.fullmatch, ends)):
        return str
    whole = all(type(convert_value(end, int)) is int and "." not in end for end in ends)
    return int if whole else float


def _read(name: str, text: str, option: Option, kind: type) -> Any:
    """Return the dimension that a flag's text describes, or its single value."""
    flag = flag_of(name)
    if kind in (int, float) and ".." in text:
        found = _range(f"{flag} {text}", name, text, kind)
        for bound in (found.low, found.high):
            option.check(flag, bound)
        return found
    several = "," in text and name not in WITH_COMMAS
    texts = _choices(f"{flag} {text}", text) if several else (text,)
    values = []
    for each in texts:
        value = each if kind is str else convert_value(each, kind)
        if type(value) is not kind:
            raise UserError(
                subject=f"{flag} {text}", problem=f"expected {KIND_NAMES[kind]}, found {each!r}"
            )
        option.check(flag, value)
        values.append(value)
    if len({*values}) < len(values):
        raise UserError(subject=f"{flag} {text}", problem=DIFFERENT)
    return Dimension(name=name, choices=texts) if len(texts) > 1 else values[0]


def _choices(subject: str, text: str) -> tuple[str, ...]:
    choices = tuple(part.strip() for part in text.split(","))
    if not all(choices) or len({*choices}) < len(choices):
        raise UserError(subject=subject, problem=DIFFERENT)
    return choices


def _range(subject: str, name: str, text: str, kind: type, *, own: bool = False) -> Dimension:
    bounds, _, how = text.partition(":")
    first, _, last = bounds.partition("..")
    low: Any = convert_value(first, kind)
    high: Any = convert_value(last, kind)
    if {type(low), type(high)} != {kind}:
        raise UserError(subject=subject, problem=f"expected LOW..HIGH, each {KIND_NAMES[kind]}")
    if not low < high:
        raise UserError(subject=subject, problem="expected a LOW below HIGH")
    step: Any = None if how in ("", "log") else convert_value(how, kind)
    if how == "log" and low <= 0:
        raise UserError(subject=subject, problem="with :log, expected a LOW above 0")
    if step is not None and ({type(step)} != {kind} or not 0 < step <= high - low):
        raise UserError(
            subject=subject, problem="after the colon, expected log or a step within the range"
        )
    return Dimension(
        name=name, own=own, whole=kind is int, low=low, high=high, log=how == "log", step=step
    )
