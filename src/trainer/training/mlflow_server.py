"""An MLflow tracking server, and the file by which a run is found on it again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from typing import Any

from trainer.runtime import output

# Kept beside the checkpoints, for the run that goes on from them, and in the run's folder.
ID_FILE = "mlflow_run.json"
# The tag of a run that was sent whole: `digest_of` its metrics.json.
METRICS_TAG = "trainer.metrics"
# A server that does not answer is given up after some seconds. Variables that are set count.
_LIMITS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
MOST_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """A run on a server, as the file has it.

    Attributes:
        run_id: Its id.
        uri: The server, with secrets masked; empty beside checkpoints.
        metrics: The digest of its metrics.json, see `digest_of`; empty before there is one.
    """

    run_id: str
    uri: str = ""
    metrics: str = ""

    def as_text(self) -> str:
        """Return the contents of the file."""
        return json.dumps(asdict(self)) + "\n"


def read_known(data: bytes | None) -> KnownRun | None:
    """Return the run in the contents of a file; None if they are damaged."""
    try:
        value = json.loads(data or b"")
        fields = {name: str(value.get(name, "")) for name in ("uri", "metrics")}
        return KnownRun(run_id=str(value["run_id"]), **fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def digest_of(metrics: bytes) -> str:
    """Return a digest of a metrics.json, by which its run is known again: it has its times."""
    return hashlib.sha256(metrics).hexdigest()[:32]


def connect(uri: str) -> Any:
    """Return a client of a server.

    Raises:
        ImportError: MLflow is not installed.
    """
    for name, value in _LIMITS.items():
        os.environ.setdefault(name, value)
    # The one would warn of each try, the other of each server that is not SageMaker's.
    for name in ("urllib3.connectionpool", "mlflow.tracking.request_header.registry"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow import MlflowClient, set_tracking_uri

    # What signs requests to SageMaker's servers asks for this one, not for the client's.
    set_tracking_uri(uri)
    return MlflowClient(uri)


def experiment_id(client: Any, name: str | None) -> str:
    """Return the id of an experiment, made if it is not there; without a name the server's own."""
    found = client.get_experiment_by_name(name) if name else None
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(name)) if name else "0"


def problem_of(error: Exception) -> str:
    """Return an error of MLflow's in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return output.clean(lines[0][:MOST_CHARACTERS])
