"""Sends a run to an MLflow server from its folder, after it has ended."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.packaging import GRAPH_FILE
from trainer.reporting import RunRecord, read_pictures, read_record, render_report
from trainer.runtime import install_command, output
from trainer.storage import RemotePath, StorageError, is_remote, local, remote
from trainer.training import mlflow_server
from trainer.training.mlflow_model import NAME, write_mlflow_model
from trainer.training.mlflow_run import FILES
from trainer.training.mlflow_server import (
    ID_FILE,
    METRICS_TAG,
    MOST_CHARACTERS,
    KnownRun,
    digest_of,
    read_known,
)

# A server takes no more at once.
_MOST_METRICS, _MOST_PARAMS = 1000, 100
_TRAIN = {
    "loss": "loss",
    "accuracy": "train_accuracy",
    "images_per_second": "images_per_second",
    "learning_rate": "learning_rate",
}
_VALIDATION = {"loss": "validation_loss", "accuracy": "validation_accuracy"}
_TEST = {"loss": "test_loss", "accuracy": "test_accuracy"}


@dataclass(frozen=True, kw_only=True)
class SentRun:
    """A run on a server.

    Attributes:
        experiment_id: Its experiment.
        run_id: Its id.
        is_new: False if the server had all of it.
    """

    experiment_id: str
    run_id: str
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """The folder of a run.

    Attributes:
        path: Its path or url.
        record: Its metrics.json.
        data: The same as bytes.
        ended: When it was written, in seconds since 1970; now if a store does not say.
    """

    path: str
    record: RunRecord
    data: bytes
    ended: float

    @property
    def seconds(self) -> float:
        """The time that the run took."""
        split = self.record.time_split
        return sum(split.values()) if split else self.record.train_seconds or 0.0

    @property
    def is_remote(self) -> bool:
        return is_remote(self.path)


def send_run(folder: str, *, uri: str, experiment: str | None) -> SentRun:
    """Send what a server does not have of a run yet: parameters, metrics, record and report.

    The model is sent as well, if it is a folder of this machine.

    The run is known again by the id in its folder, else by the digest of its metrics.json, which is
    a tag on the server.

    Args:
        folder: Its folder, local or in a store.
        uri: The server.
        experiment: The experiment of a run that is not there yet; the server's default if None.

    Raises:
        UserError: The folder has no run, or the server does not take it.
    """
    run = _read(folder)
    try:
        client = mlflow_server.connect(uri)
        found = _find(client, run, uri=uri, experiment=experiment)
        digest = digest_of(run.data)
        is_complete = found.info.status != "RUNNING" and found.data.tags.get(METRICS_TAG) == digest
        if not is_complete:
            _send(client, found, run)
    except ImportError:
        raise UserError(
            subject="--to-mlflow",
            problem="MLflow is not installed",
            remedy=install_command("mlflow"),
        ) from None
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            subject=f"--to-mlflow {uri}",
            problem=mlflow_server.problem_of(error),
            remedy="look whether the server runs; the same command goes on",
        ) from error
    return SentRun(
        experiment_id=str(found.info.experiment_id),
        run_id=str(found.info.run_id),
        is_new=not is_complete,
    )


def _read(folder: str) -> _Folder:
    record, path = read_record(folder), f"{folder.rstrip('/')}/{FILES[0]}"
    ended = time.time() if is_remote(folder) else Path(path).stat().st_mtime
    return _Folder(path=folder, record=record, data=remote.read_file(path) or b"", ended=ended)


def _find(client: Any, run: _Folder, *, uri: str, experiment: str | None) -> Any:
    """Return the run on the server, a new one if it is not there."""
    from mlflow.exceptions import MlflowException

    digest, shown = digest_of(run.data), output.clean(uri)
    known = read_known(remote.read_file(f"{run.path.rstrip('/')}/{ID_FILE}"))
    if known and (known.uri, known.metrics) == (shown, digest):
        try:
            return client.get_run(known.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    where = mlflow_server.experiment_id(client, experiment)
    found = client.search_runs([where], f"tags.`{METRICS_TAG}` = '{digest}'", max_results=1)
    if not found:
        began = int((run.ended - run.seconds) * 1000)
        found = [client.create_run(where, start_time=began, tags={METRICS_TAG: digest})]
    _keep(run, KnownRun(run_id=str(found[0].info.run_id), uri=shown, metrics=digest))
    return found[0]


def _keep(run: _Folder, known: KnownRun) -> None:
    """Write the id into the run's folder, if that can be written: the server has it, too."""
    with contextlib.suppress(OSError, StorageError, UserError):
        if run.is_remote:
            RemotePath(run.path, flag="RUN").write_small(ID_FILE, known.as_text().encode())
        else:
            local.write_text(Path(run.path, ID_FILE), known.as_text())


def _send(client: Any, found: Any, run: _Folder) -> None:
    from mlflow.entities import Param

    run_id = found.info.run_id
    params = [
        Param(name, str(value)[:MOST_CHARACTERS])
        for name, value in _params(run.record)
        if name not in found.data.params
    ]
    for some in _parts(params, _MOST_PARAMS):
        client.log_batch(run_id, params=some)
    metrics = [*_metrics(client, found, run), *_figures_of_a_module(found, run)]
    for some in _parts(metrics, _MOST_METRICS):
        client.log_batch(run_id, metrics=some)
    with tempfile.TemporaryDirectory() as work:
        name, pictures = (
            run.path.rstrip("/").rpartition("/")[2],
            read_pictures(run.path, run.record),
        )
        page = render_report(run.record, name=name, pictures=pictures)
        for name, data in zip(FILES, (run.data, page.encode()), strict=True):
            Path(work, name).write_bytes(data)
            client.log_artifact(run_id, str(Path(work, name)))
    _send_model(client, run_id, run.record)
    client.set_tag(run_id, METRICS_TAG, digest_of(run.data))
    status = "KILLED" if run.record.stopped else "FINISHED"
    client.set_terminated(run_id, status, end_time=int(run.ended * 1000))


def _send_model(client: Any, run_id: str, record: RunRecord) -> None:
    from mlflow import __version__

    path = record.model_path or ""
    is_here = not is_remote(path) and Path(path, GRAPH_FILE).is_file()
    if record.stopped or not is_here:
        return
    # A user's module may name its signatures as it likes.
    with tempfile.TemporaryDirectory() as work, contextlib.suppress(UserError):
        write_mlflow_model(Path(work), Path(path), run_id=run_id, mlflow=__version__, example=None)
        client.log_artifacts(run_id, work, NAME)


def _params(record: RunRecord) -> Iterator[tuple[str, Any]]:
    """Yield the parameters by the names that a training sends."""
    for name, value in (record.hparams or {"model": record.model}).items():
        if name == "hp":
            yield from ((f"hp.{own}", given) for own, given in value)
        elif value is not None:
            yield name, value
    yield "steps", record.steps


def _metrics(client: Any, found: Any, run: _Folder) -> Iterator[Any]:
    """Yield the points of the curves that the server does not have."""
    from mlflow.entities import Metric

    curves = run.record.curves
    if curves is None:
        return
    # The record has the time of the training steps, not the hour.
    began = run.ended - (run.record.train_seconds or 0.0)
    for split, curve, names in (
        ("train", curves.train, _TRAIN),
        ("validation", curves.validation, _VALIDATION),
        ("test", curves.test, _TEST),
    ):
        named = {name: getattr(curve, column) for column, name in names.items()}
        named |= {f"{split}_{name}": column for name, column in curve.metrics.items()}
        for name, column in named.items():
            last = -1
            if name in found.data.metrics:
                history = client.get_metric_history(found.info.run_id, name)
                last = max(point.step for point in history)
            points = zip(curve.step, curve.seconds, column, strict=False)
            for step, seconds, value in points:
                if step > last and value is not None:
                    yield Metric(name, value, int((began + seconds) * 1000), step)


def _figures_of_a_module(found: Any, run: _Folder) -> Iterator[Any]:
    """Yield the last figures that no curve has, as in older records, nor the server."""
    from mlflow.entities import Metric

    record = run.record
    for split, figures in (
        ("validation", record.validation_metrics),
        ("test", record.test_metrics),
    ):
        for name, value in (figures or {}).items():
            full = f"{split}_{name}"
            curve = getattr(record.curves, split, None)
            in_a_curve = name in ("loss", "accuracy") or name in getattr(curve, "metrics", ())
            if value is not None and not in_a_curve and full not in found.data.metrics:
                yield Metric(full, value, int(run.ended * 1000), record.steps)


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    return (values[i : i + most] for i in range(0, len(values), most))
