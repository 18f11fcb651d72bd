"""One run on an MLflow tracking server, written by a thread so that training never waits for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.runtime import install_command, output
from trainer.storage import local
from trainer.training import mlflow_server
from trainer.training.mlflow_model import NAME, Example, write_mlflow_model
from trainer.training.mlflow_server import (
    ID_FILE,
    METRICS_TAG,
    MOST_CHARACTERS,
    KnownRun,
    digest_of,
    read_known,
)

logger = logging.getLogger(__name__)

# What is sent of a run's folder, the record first.
FILES = ("metrics.json", "report.html")
# Seconds for which the end of a run waits for what has not been sent yet.
CLOSE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class TrackingTarget:
    """The place of a run on a tracking server.

    Attributes:
        uri: The server.
        experiment: The experiment; the server's default if None.
        run_id: A run that is there already, and is written to; None for a new one.
        id_folder: The folder that keeps the id for a run that goes on; None keeps none.
        remedy: The command that sends the run later.
    """

    uri: str
    experiment: str | None
    run_id: str | None
    id_folder: Path | None
    remedy: str


class MlflowRun:
    """Sends parameters, metrics and files, in order; after the first failure nothing more.

    Args:
        target: The server and the run.
        step: The step from which training goes on; 0 for a run from its beginning.
    """

    def __init__(self, target: TrackingTarget, *, step: int) -> None:
        self._target, self._step = target, step
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._last_steps: dict[str, int] = {}
        self._id = ""
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Send parameters; those that have changed since the run began become tags."""
        self._work.put(lambda: self._send_params(params))

    def log_metrics(self, step: int, **values: float) -> None:
        """Send metrics of one step, unless the run has them from before."""
        now = int(time.time() * 1000)
        self._work.put(lambda: self._send_metrics(step, now, values))

    def log_files(self, folder: Path) -> None:
        """Send the files of a run's folder; all else has been sent."""
        self._work.put(lambda: self._send_files(folder))

    def log_model(self, path: Path, example: Example | None) -> None:
        """Send a SavedModel as an MLflow model.

        Args:
            path: Its folder.
            example: One example for its default signature.
        """
        self._work.put(lambda: self._send_model(path, example))

    def close(self, status: str) -> None:
        """Set the status that the run ends with, and wait some seconds for all to be sent."""
        self._work.put(lambda: self._client.set_terminated(self._id, status))
        self._work.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            logger.warning(
                "MLflow: not all was sent within %.0f s; the rest: %s",
                CLOSE_SECONDS,
                self._target.remedy,
            )

    def _run(self) -> None:
        later = f"; later: {self._target.remedy}"
        try:
            self._open()
            while send := self._work.get():
                send()
        except ImportError:
            install = install_command("mlflow")
            logger.warning("MLflow: not installed, nothing is sent; %s%s", install, later)
        except Exception as error:
            problem = mlflow_server.problem_of(error)
            logger.warning(
                "MLflow at %s: nothing more is sent: %s%s", self._target.uri, problem, later
            )

    def _open(self) -> None:
        target = self._target
        self._client = mlflow_server.connect(target.uri)
        self._params: dict[str, str] = {}
        known = target.run_id or (self._kept_id() if self._step else None)
        if known and self._continue(known):
            return
        experiment = mlflow_server.experiment_id(self._client, target.experiment)
        self._id = str(self._client.create_run(experiment).info.run_id)
        if folder := target.id_folder:
            folder.mkdir(parents=True, exist_ok=True)
            local.write_text(folder / ID_FILE, KnownRun(run_id=self._id).as_text())

    def _kept_id(self) -> str | None:
        with contextlib.suppress(OSError):
            if folder := self._target.id_folder:
                known = read_known((folder / ID_FILE).read_bytes())
                return known.run_id if known else None
        return None

    def _continue(self, run_id: str) -> bool:
        """Go on with a run; return False if the kept id is of one that is not on this server."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if self._target.run_id or error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        self._id, self._params = run_id, dict(run.data.params)
        self._client.update_run(run_id, status="RUNNING")
        for key in run.data.metrics if self._step else ():
            history = self._client.get_metric_history(run_id, key)
            self._last_steps[key] = max(point.step for point in history)
        return True

    def _send_params(self, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param, RunTag

        texts = {name: str(value)[:MOST_CHARACTERS] for name, value in params.items()}
        new = [Param(name, text) for name, text in texts.items() if name not in self._params]
        changed = [
            RunTag(f"from_step_{self._step}.{name}", text)
            for name, text in texts.items()
            if self._params.get(name, text) != text
        ]
        if new or changed:
            self._client.log_batch(self._id, params=new, tags=changed)

    def _send_metrics(self, step: int, now: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        points = [
            Metric(name, value, now, step)
            for name, value in values.items()
            if step > self._last_steps.get(name, -1)
        ]
        if points:
            self._client.log_batch(self._id, metrics=points)

    def _send_files(self, folder: Path) -> None:
        there = [path for name in FILES if (path := folder / name).is_file()]
        for path in there:
            self._client.log_artifact(self._id, str(path))
        if (record := folder / FILES[0]) in there:
            self._client.set_tag(self._id, METRICS_TAG, digest_of(record.read_bytes()))

    def _send_model(self, path: Path, example: Example | None) -> None:
        from mlflow import __version__

        with tempfile.TemporaryDirectory() as work:
            try:
                write_mlflow_model(
                    Path(work), path, run_id=self._id, mlflow=__version__, example=example
                )
            except UserError as error:
                # A user's module may name its signatures as it likes.
                logger.warning("MLflow: the model is not sent: %s", error)
                return
            self._client.log_artifacts(self._id, work, NAME)

    def keep_id(self, folder: Path) -> None:
        """Keep the id in the folder of the run, so that the rest can be sent later."""
        with contextlib.suppress(OSError):
            digest = digest_of((folder / FILES[0]).read_bytes())
            known = KnownRun(run_id=self._id, uri=output.clean(self._target.uri), metrics=digest)
            if self._id:
                local.write_text(folder / ID_FILE, known.as_text())
