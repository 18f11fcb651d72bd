"""The settings and data that steps were trained with: kept in checkpoints, compared on resuming."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.config import Hparams, Job, UserError, flag_of, options_of
from trainer.data import fingerprint_of
from trainer.models import has_own_reader
from trainer.runtime import display_value, output

if TYPE_CHECKING:
    from trainer.training.run_data import RunData

# What people call hyperparameters that no flag sets.
_LABELS = {"input_shape": "images of shape", "classes": "classes"}


@dataclass(frozen=True, kw_only=True)
class DataIdentity:
    """Marks by which training data is known again without being read.

    Attributes:
        kind: The data format, `synthetic` or `module`.
        examples: Number of examples, if that is known.
        text: A description for people.
        digest: Of names, sizes and last bytes of its files; empty if they are not known.
    """

    kind: str
    examples: int | None
    text: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class TrainedSteps:
    """Steps that were trained with the same settings.

    Attributes:
        from_step: Number of steps before these.
        module: The model module.
        hparams: The hyperparameters as JSON has them, without secrets.
        train: The training data.
        total: Steps of the whole run, where the schedule of the learning rate depends on them;
            else None, as in a checkpoint of an earlier version.
        class_names: The names of the classes by label; empty if nothing tells.
    """

    from_step: int = 0
    module: str
    hparams: Mapping[str, Any]
    train: DataIdentity
    total: int | None = None
    class_names: tuple[str, ...] = ()


def of(job: Job, data: RunData) -> TrainedSteps:
    """Return the settings and data that a run trains with.

    Args:
        job: With all hyperparameters.
        data: Its data, and the number of its steps.
    """
    described = data.train.description
    text = digest = ""
    # Read the files' marks only for a run that may be resumed. Hosts that hold a part each may then
    # hold another part.
    if job.checkpoint_dir and job.shard_by != "host":
        try:
            own = has_own_reader(job)
            found = fingerprint_of(job.train, split="train", flag="--train", own_reader=own)
            text, entries = found.text, repr(found.entries)
            digest = hashlib.sha256(entries.encode(errors="surrogateescape")).hexdigest()[:16]
        except UserError:
            # With parameter servers the chief need not have the files that workers read.
            pass
    hparams = json.loads(json.dumps(dataclasses.asdict(job.hparams)))
    return TrainedSteps(
        module=job.module,
        hparams=output.clean_value(hparams),
        train=DataIdentity(
            kind=described["kind"],
            examples=described["examples"],
            text=output.clean(text),
            digest=digest,
        ),
        class_names=tuple(data.all_class_names),
        total=data.steps if job.hparams.schedule != "constant" or job.hparams.warmup else None,
    )


def hparams_of(written: Mapping[str, Any], hp: Mapping[str, str]) -> Hparams:
    """Return the hyperparameters of some steps.

    Args:
        written: As `TrainedSteps` has them.
        hp: A module's own hyperparameters, with the secrets that a checkpoint leaves out.

    Raises:
        TypeError: They are those of another version.
        UserError: They are.
    """
    known = {n: written[n] for n in options_of(Hparams) if n in written}
    return Hparams(**(known | form_of(written) | {"hp": tuple(hp.items())}))


def form_of(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that come from the data: `input_shape` and `classes`.

    Args:
        written: As `TrainedSteps` has them; those of an earlier version, which read nothing but
            MNIST's form, have neither.
    """
    shape = written.get("input_shape")
    return {"input_shape": tuple(shape) if shape else None, "classes": written.get("classes")}


def read(written: Any) -> tuple[TrainedSteps, ...]:
    """Return the history in a checkpoint; empty in one of an earlier version, which has none."""
    try:
        stretches = [
            TrainedSteps(
                from_step=int(one["from_step"]),
                module=str(one["module"]),
                hparams=dict(one["hparams"]),
                train=DataIdentity(**one["train"]),
                total=None if one.get("total") is None else int(one["total"]),
                class_names=tuple(map(str, one.get("class_names", ()))),
            )
            for one in written or ()
        ]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(stretches)


def differences(before: TrainedSteps, now: TrainedSteps) -> list[str]:
    """Return the flags and data that differ, each with its value then and now."""
    found = []
    if before.module != now.module:
        found.append(f"--module {before.module} (now {now.module})")
    for name, value in now.hparams.items():
        # A hyperparameter that another version of the trainer did not know has not been changed.
        other = before.hparams.get(name, value)
        if other != value:
            then, now_value = (display_value(each, none="None") for each in (other, value))
            found.append(f"{_LABELS.get(name) or flag_of(name)} {then} (now {now_value})")
    if before.total and now.total and before.total != now.total:
        schedule = now.hparams["schedule"]
        found.append(f"a {schedule} schedule over {before.total} steps (now {now.total})")
    if before.class_names and now.class_names and before.class_names != now.class_names:
        there, here = (", ".join(each.class_names) for each in (before, now))
        found.append(f"the classes {there} (now {here})")
    a, b = before.train, now.train
    known = bool(a.digest and b.digest)
    if a.kind != b.kind or a.examples != b.examples or (known and a.digest != b.digest):
        there, here = (f"{d.kind}, {d.examples} examples, {d.text}".strip(", ") for d in (a, b))
        now_there = "others of the same size" if there == here else here
        found.append(f"other training data: {there} (now {now_there})")
    return found


class History:
    """The settings that the weights of a run were trained with, from its first step on.

    Args:
        now: The settings of the steps from here on.
    """

    def __init__(self, now: TrainedSteps) -> None:
        self.now = now
        self._past, self._step = tuple[TrainedSteps, ...](), 0

    def resume(self, past: tuple[TrainedSteps, ...], *, step: int) -> None:
        """Go on from a checkpoint.

        Args:
            past: The history in it.
            step: The number of steps it has.
        """
        self._past, self._step = past, step

    @property
    def changes(self) -> list[str]:
        """The differences from the steps before, see `differences`."""
        return differences(self._past[-1], self.now) if self._past else []

    @property
    def last(self) -> TrainedSteps | None:
        """The settings of the last steps in the checkpoint; None if it does not say."""
        return self._past[-1] if self._past else None

    def at(self, step: int) -> tuple[TrainedSteps, ...]:
        """Return the settings that the weights after so many steps were trained with, if known."""
        if step == self._step or (self._past and not self.changes):
            return self._past
        return (*self._past, dataclasses.replace(self.now, from_step=self._step))

    def described(self, train: dict[str, Any], *, step: int) -> dict[str, Any]:
        """Return a description of the data that the weights after so many steps were trained on.

        Args:
            train: The description of the data that there is now.
            step: The number of steps.
        """
        last = self.at(step)[-1:]
        if last and last[0].train == self.now.train:
            return train
        known = dataclasses.asdict(last[0].train) if last else {"kind": None, "examples": None}
        return {**known, "files": [], "damaged": []}
