"""The search itself: Optuna proposes values, processes of `trainer train` try them."""

from __future__ import annotations

import dataclasses
import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.runtime import install_command, installed_version, output
from trainer.storage import local
from trainer.sweep.space import Dimension, Space
from trainer.sweep.trial import TrialProcess

STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a sweep.

    Attributes:
        space: The space to search.
        out: The folder of the study and of its trials.
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


def run_search(search: Search, *, stopped: Callable[[float], bool]) -> int:
    """Run trials until there are enough, and print and write what they gave.

    Args:
        search: The settings.
        stopped: Waits for some seconds; returns True to end all trials.

    Returns:
        0; 1 if no trial succeeded; 143 if it was stopped.
    """
    if installed_version("optuna") is None:
        raise UserError(
            subject="trainer sweep", problem="Optuna is not installed",
            remedy=install_command("sweep"),
        )  # fmt: skip
    search.out.mkdir(parents=True, exist_ok=True)
    study = _open_study(search)
    running: dict[TrialProcess, Any] = {}
    end = time.monotonic() + search.timeout if search.timeout else float("inf")
    was_stopped = False
    try:
        while True:
            while len(running) < search.jobs and _count(study) + len(running) < search.trials:
                _start(search, study, running)
            if not running:
                break
            for process in [*running]:
                _follow(study, process, running)
            was_stopped = stopped(0.1)
            if was_stopped or time.monotonic() > end:
                break
    finally:
        for process in running:
            process.terminate()
        for process, trial in running.items():
            process.reap()
            _put_back(study, trial._trial_id, trial.params)
    code = _conclude(search, study)
    return 143 if was_stopped else code


def _open_study(search: Search) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(search.out / "study.journal")))
    pruners: dict[str, Callable[[], Any]] = {
        "median": optuna.pruners.MedianPruner,
        "asha": optuna.pruners.SuccessiveHalvingPruner,
        "none": optuna.pruners.NopPruner,
    }
    study = optuna.create_study(
        study_name="sweep", storage=storage, direction="maximize", load_if_exists=True,
        pruner=pruners[search.pruner](),
    )  # fmt: skip
    space = json.dumps(dataclasses.asdict(search.space))
    before = study.user_attrs.get("space")
    if before not in (None, space):
        raise UserError(
            subject=f"--out {search.out}", problem="holds a sweep with other flags",
            remedy="name another folder, or give the same flags",
        )  # fmt: skip
    study.set_user_attr("space", space)
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        # Left by a sweep that was killed.
        _put_back(study, trial._trial_id, trial.params)
    # A sampler that began with the same seed would propose the same values again.
    study.sampler = optuna.samplers.TPESampler(seed=search.seed + len(study.trials))
    return study


def _put_back(study: Any, trial_id: int, params: dict[str, Any]) -> None:
    """Have the next call try these values again."""
    from optuna.trial import TrialState

    study._storage.set_trial_user_attr(trial_id, STOPPED, True)
    study._storage.set_trial_state_values(trial_id, TrialState.FAIL)
    study.enqueue_trial(params)


def _finished(study: Any) -> list[Any]:
    return [t for t in study.trials if t.state.is_finished() and STOPPED not in t.user_attrs]


def _count(study: Any) -> int:
    return len(_finished(study))


def _start(search: Search, study: Any, running: dict[TrialProcess, Any]) -> None:
    trial = study.ask()
    flags = [*search.space.fixed]
    for each in search.space.dimensions:
        flags += each.flags(_suggest(trial, each))
    folder = search.out / f"trial-{trial.number}"
    running[TrialProcess(folder, flags, search.env)] = trial


def _suggest(trial: Any, dimension: Dimension) -> Any:
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.whole:
        return trial.suggest_int(name, low, high, step=dimension.step or 1, log=dimension.log)
    return trial.suggest_float(name, low, high, step=dimension.step, log=dimension.log)


def _follow(study: Any, process: TrialProcess, running: dict[TrialProcess, Any]) -> None:
    """Report what a trial has printed, and note its end."""
    from optuna.trial import TrialState

    trial, code = running[process], process.code
    for step, value in process.new_accuracies():
        trial.report(value, step)
    prune = code is None and trial.should_prune()
    if prune:
        process.terminate()
    elif code is None:
        return
    process.reap()
    trial.set_user_attr("seconds", process.seconds)
    accuracy = process.accuracy()
    del running[process]
    if prune:
        study.tell(trial, state=TrialState.PRUNED)
    elif code == 0 and accuracy is not None:
        study.tell(trial, accuracy)
    else:
        trial.set_user_attr("error", output.clean(process.last_line()))
        study.tell(trial, state=TrialState.FAIL)
    output.err(f"trainer: trial={trial.number} ended, {len(running)} running")


def _conclude(search: Search, study: Any) -> int:
    """Print the table and write sweep.json."""
    trials = [
        {
            "trial": t.number, "state": t.state.name.lower(), "values": t.params,
            "test_accuracy": t.value, "seconds": t.user_attrs.get("seconds"),
            "error": t.user_attrs.get("error"),
        }
        for t in _finished(study)
    ]  # fmt: skip
    good = [t for t in trials if t["state"] == "complete"]
    best = max(good, key=lambda t: t["test_accuracy"], default=None)
    command = None
    if best:
        words = [*search.space.fixed]
        for each in search.space.dimensions:
            words += each.flags(best["values"][each.name])
        command = shlex.join(["trainer", "train", *words])
    report = {"best": best, "command": command, "trials": trials}
    text = json.dumps(output.clean_value(report), indent=2)
    local.write_text(search.out / "sweep.json", text + "\n")
    for t in trials:
        values = " ".join(f"{name}={value}" for name, value in t["values"].items())
        shown = "-" if t["test_accuracy"] is None else f"{t['test_accuracy']:.4f}"
        seconds = t["seconds"] or 0.0
        output.out(
            f"trial={t['trial']} {t['state']} {values} test_accuracy={shown} seconds={seconds:.1f}"
        )
    if command:
        output.out(f"best: {command}")
    elif trials:
        output.err(f"trainer: failed: no trial succeeded: {trials[-1]['error'] or 'all pruned'}")
        return 1
    return 0
