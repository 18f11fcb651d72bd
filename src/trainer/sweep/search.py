"""The search itself: Optuna proposes values, processes of `trainer train` try them."""

from __future__ import annotations

import dataclasses
import os
import shlex
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config import UserError
from trainer.runtime import install_command, installed_version, output
from trainer.storage import held, local
from trainer.sweep.metric import metric_of, shown
from trainer.sweep.page import render_sweep
from trainer.sweep.record import (
    ENDED,
    SweepRecord,
    TrialRecord,
    best_of,
    read_sweep,
    write_record,
)
from trainer.sweep.signals import SignalCount, counting_signals
from trainer.sweep.space import Space
from trainer.sweep.study import importances, make_study, suggest
from trainer.sweep.table import aligned, short, table_of
from trainer.sweep.trial import TrialProcess

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a sweep.

    Attributes:
        space: The space to search.
        out: The folder of the record, the page and the trials.
        trials: Trials in all, those of earlier calls included.
        jobs: Trials at a time.
        timeout: Seconds after which running trials are ended, or None.
        seed: The seed of the search.
        pruner: `median`, `asha` or `none`.
        env: The environment of the trials.
    """

    space: Space
    out: Path
    trials: int
    jobs: int
    timeout: float | None
    seed: int
    pruner: str
    env: Mapping[str, str] = dataclasses.field(repr=False)


def run_search(search: Search) -> int:
    """Run trials until there are enough, and print and write what they gave.

    Returns:
        0; 1 if no trial succeeded; 128 and the signal's number if one stopped it.
    """
    if installed_version("optuna") is None:
        raise UserError(
            subject="trainer sweep", problem="Optuna is not installed",
            remedy=install_command("sweep"),
        )  # fmt: skip
    with held(search.out, name=f"--out {search.out}"), counting_signals() as signals:
        before = read_sweep(search.out) or SweepRecord(space=search.space)
        if before.space != search.space:
            raise UserError(
                subject=f"--out {search.out}", problem="holds a sweep with other flags",
                remedy="name another folder, or give the same flags",
            )  # fmt: skip
        study = make_study(
            search.space, before.trials, seed=search.seed, pruner=search.pruner
        )  # fmt: skip
        trials = Trials(search, before, signals)
        left = search.trials - sum(each.state in ENDED for each in before.trials)
        if left > 0:
            _optimize(study, trials, count=left, jobs=search.jobs)
        record = trials.write()
        page = render_sweep(record, importances=importances(study), name=search.out.resolve().name)
        local.write_text(search.out / "sweep.html", page)
        code = _conclude(record)
    output.out(f"page: {search.out / 'sweep.html'}")
    return 128 + signals.number if signals.count else code


def _optimize(study: optuna.Study, trials: Trials, *, count: int, jobs: int) -> None:
    """Let Optuna run trials, in a thread: this one wakes up to see signals.

    Of two signals at once the kernel may give both to another thread, and wakes no lock.
    """
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            study.optimize, trials.try_values, n_trials=count, n_jobs=jobs,
            catch=(TrialFailedError,),
        )  # fmt: skip
        while not wait([running], timeout=0.1).done:
            pass
        running.result()


class TrialFailedError(Exception):
    """A trial failed, or ended with the sweep; its record says why."""


class Trials:
    """The trials of a sweep, which Optuna runs in threads, and their record."""

    def __init__(self, search: Search, before: SweepRecord, signals: SignalCount) -> None:
        self._search, self._goal = search, search.space.goal
        self._signals = signals
        self._end = time.monotonic() + search.timeout if search.timeout else float("inf")
        self._lock = threading.Lock()
        self._records = {each.trial: each for each in before.trials}
        self._metric = before.metric
        self._extra: list[str] = []
        flags = {word.partition("=")[0] for word in search.space.fixed}
        named = flags | {f"--{each.name}" for each in search.space.dimensions}
        if search.jobs > 1 and "--threads" not in named:
            # Trials that all took all processors would wait for each other.
            share = max(1, len(os.sched_getaffinity(0)) // search.jobs)
            self._extra = ["--threads", str(share)]

    def try_values(self, trial: optuna.Trial) -> float:
        """Run a trial and return its figure, as Optuna's `optimize` has it."""
        import optuna

        if self._over():
            trial.study.stop()
            raise TrialFailedError
        values = {each.name: suggest(trial, each) for each in self._search.space.dimensions}
        record = TrialRecord(trial=trial.number, state="running", values=values)
        self._keep(record)
        folder = self._search.out / f"trial-{trial.number}"
        tried = " ".join(f"{name}={short(value)}" for name, value in values.items())
        output.err(f"trainer: trial={record.trial} running {tried} log={folder / 'log.txt'}")
        flags = [*_flags(self._search.space, values), *self._extra]
        with TrialProcess(folder, flags, self._search.env, self._goal) as process:
            state = self._follow(trial, process, record.curve)
            if state in ("stopped", "pruned"):
                process.end(at_once=lambda: self._signals.count > 1)
            value = None if state == "failed" else process.value()
            if value is not None:
                # It may have come to its end before it was asked to.
                state = "complete"
            elif state == "complete":
                state = "failed"
            error = output.clean(process.problem()) if state == "failed" else None
            record = dataclasses.replace(
                record, state=state, value=value, seconds=process.seconds, error=error
            )
        self._keep(record)
        output.err(f"trainer: {self._progress(record)}")
        if state == "pruned":
            raise optuna.TrialPruned
        if value is None:
            raise TrialFailedError
        return value

    def write(self) -> SweepRecord:
        """Write the record and return it."""
        with self._lock:
            trials = [self._records[number] for number in sorted(self._records)]
            best = best_of(trials, self._goal)
            command = None
            if best:
                words = _flags(self._search.space, best.values)
                command = shlex.join(["trainer", "train", *words])
            record = SweepRecord(
                space=self._search.space, best=best.trial if best else None, command=command,
                metric=self._metric, trials=trials,
            )  # fmt: skip
            write_record(self._search.out, record)
            return record

    def _progress(self, record: TrialRecord) -> str:
        """Return how a trial ended, the best until now, and how many are left."""
        with self._lock:
            trials = list(self._records.values())
        best = best_of(trials, self._goal)
        left = self._search.trials - sum(each.state in ENDED for each in trials)
        parts = [f"trial={record.trial} {record.state}"]
        if record.last_value is not None:
            metric = self._metric or metric_of(self._search.space)
            parts.append(f"{metric}={shown(record.last_value, self._goal)}")
        if best:
            parts.append(f"best={shown(best.value, self._goal)} (trial {best.trial})")
        return " ".join([*parts, f"left={left}"])

    def _keep(self, record: TrialRecord) -> None:
        with self._lock:
            self._records[record.trial] = record
        self.write()

    def _over(self) -> bool:
        return self._signals.count > 0 or time.monotonic() > self._end

    def _follow(self, trial: optuna.Trial, process: TrialProcess, curve: list[float]) -> str:
        """Wait until a trial ends or should; add its figures to `curve`; return its state."""
        last = False
        while True:
            code = process.wait(0.1)
            for step, value in process.new_values():
                last = process.is_last(step)
                curve.append(value)
                # Not the step: evaluations of trials of other batch sizes are at other steps.
                trial.report(value, len(curve))
                self._metric = process.metric
            if code is not None:
                if code and self._over():
                    return "stopped"
                return "failed" if code else "complete"
            if self._over():
                trial.study.stop()
                return "stopped"
            # Asked in any case: the pruner notes how far the trial has come.
            if trial.should_prune() and not last:
                return "pruned"


def _flags(space: Space, values: Mapping[str, Any]) -> list[str]:
    flags = [*space.fixed]
    for each in space.dimensions:
        flags += each.flags(values[each.name])
    return flags


def _conclude(record: SweepRecord) -> int:
    """Print the table."""
    for line in aligned(*table_of(record)):
        output.out(line)
    if record.command:
        output.out(f"best: {record.command}")
    elif record.trials:
        problem = record.trials[-1].error or f"the last one is {record.trials[-1].state}"
        output.err(f"trainer: failed: no trial succeeded: {problem}")
        return 1
    return 0
