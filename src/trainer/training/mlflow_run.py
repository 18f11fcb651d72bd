"""One run on an MLflow tracking server, written by a thread so that training never waits for it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.runtime import install_command
from trainer.storage import local

logger = logging.getLogger(__name__)

# Kept beside the checkpoints, for the run that goes on from them.
ID_FILE = "mlflow_run.json"
# Seconds for which the end of a run waits for what has not been sent yet.
CLOSE_SECONDS = 30.0
# A server that does not answer is given up after some seconds. Variables that are set count.
_LIMITS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_MOST_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class TrackingTarget:
    """The place of a run on a tracking server.

    Attributes:
        uri: The server.
        experiment: The experiment; the server's default if None.
        run_id: A run that is there already, and is written to; None for a new one.
        id_folder: The folder that keeps the id for a run that goes on; None keeps none.
    """

    uri: str
    experiment: str | None
    run_id: str | None
    id_folder: Path | None


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
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Send parameters; those that have changed since the run began become tags."""
        self._work.put(lambda: self._send_params(params))

    def log_metrics(self, step: int, **values: float) -> None:
        """Send metrics of one step, unless the run has them from before."""
        now = int(time.time() * 1000)
        self._work.put(lambda: self._send_metrics(step, now, values))

    def log_files(self, paths: Sequence[Path]) -> None:
        """Send those of some files that are there."""
        self._work.put(lambda: self._send_files(paths))

    def close(self, status: str) -> None:
        """Set the status that the run ends with, and wait some seconds for all to be sent."""
        self._work.put(lambda: self._client.set_terminated(self._id, status))
        self._work.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            logger.warning("MLflow: not all was sent within %.0f s", CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self._open()
            while send := self._work.get():
                send()
        except ImportError:
            logger.warning("MLflow: not installed, nothing is sent; %s", install_command("mlflow"))
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            text = lines[0][:_MOST_CHARACTERS]
            logger.warning("MLflow at %s: nothing more is sent: %s", self._target.uri, text)

    def _open(self) -> None:
        for name, value in _LIMITS.items():
            os.environ.setdefault(name, value)
        # It would warn of each try.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        from mlflow import MlflowClient

        self._client = MlflowClient(self._target.uri)
        self._params: dict[str, str] = {}
        known = self._target.run_id or (self._kept_id() if self._step else None)
        if known and self._continue(known):
            return
        wanted = self._target.experiment
        found = self._client.get_experiment_by_name(wanted) if wanted else None
        experiment = found.experiment_id if found else "0"
        if wanted and not found:
            experiment = self._client.create_experiment(wanted)
        self._id = str(self._client.create_run(experiment).info.run_id)
        if folder := self._target.id_folder:
            folder.mkdir(parents=True, exist_ok=True)
            local.write_text(folder / ID_FILE, json.dumps({"run_id": self._id}) + "\n")

    def _kept_id(self) -> str | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            folder = self._target.id_folder
            return str(json.loads((folder / ID_FILE).read_bytes())["run_id"]) if folder else None
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

        texts = {name: str(value)[:_MOST_CHARACTERS] for name, value in params.items()}
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

    def _send_files(self, paths: Sequence[Path]) -> None:
        for path in filter(Path.is_file, paths):
            self._client.log_artifact(self._id, str(path))
