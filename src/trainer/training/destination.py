"""The destinations of a run's results: the local folders that the job names, and object stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Job, flag_of as flag_of
from trainer.packaging import CODE_FOLDER, VERSIONED_LAYOUTS, versions_in
from trainer.runtime import Patience
from trainer.storage import StorageOptions, remote as storage, upload_folder
from trainer.training import earlier_run
from trainer.training.checkpoint_mirror import CheckpointMirror


class Destination:
    """The local folders of the job: everything is where it belongs once it is written."""

    def checkpoint_written(self) -> None:
        """Take note of a new checkpoint in the checkpoint folder."""

    def model_written(self, path: Path) -> str:
        """Take note of a new model.

        Args:
            path: Its folder or archive, in the local model folder.

        Returns:
            The path or url where it finally is.
        """
        return str(path)

    def output_folder(self, folder: Path) -> str:
        """Return the path or url where the report's local folder finally is."""
        return str(folder)

    def earlier_report(self, job: Job) -> dict[str, Any] | None:
        """Return the report of an earlier run whose model is still there, see `earlier_run`."""
        return earlier_run.find(job)

    def finish(self) -> None:
        """Take note that the run has written all its results."""


LOCAL = Destination()


@dataclass(frozen=True, kw_only=True)
class RemoteDestination(Destination):
    """Object stores: results are written to local folders first, and copied from there.

    Attributes:
        local: The local folder of each output, by the job's field.
        remote: The url of each output that is remote.
        sent: Those that this process sends; only the chief sends all of them.
        layout: How a model lies in its folder, see `trainer.packaging.layout`.
        mirror: Keeps the checkpoints alike, if they are remote.
        options: Settings of the drivers.
        stopped: True if the run was asked to stop, so that it waits less for a store.
    """

    local: Mapping[str, str]
    remote: Mapping[str, str]
    sent: Mapping[str, str]
    layout: str
    mirror: CheckpointMirror | None
    options: StorageOptions
    stopped: Callable[[], bool]

    def checkpoint_written(self) -> None:
        if self.mirror and "checkpoint_dir" in self.sent:
            self.mirror.sync()
        self._send("log_dir")

    def model_written(self, path: Path) -> str:
        url = self.sent.get("model_dir")
        if url is None:
            return str(path)
        code = Path(self.local["model_dir"], CODE_FOLDER)
        if code.is_dir():
            self._push(code, f"{url}/{CODE_FOLDER}")
        if self.layout in VERSIONED_LAYOUTS:
            url = f"{url}/{versions_in(self.layout)}".rstrip("/")
            versions = storage.versions(url, options=self.options, patience=self._sending)
            url += f"/{max(versions, default=0) + 1}"
        self._push(path, url)
        return f"{url}/{path.name}" if path.is_file() else url

    def output_folder(self, folder: Path) -> str:
        return self.remote.get("output_dir", str(folder))

    def earlier_report(self, job: Job) -> dict[str, Any] | None:
        if not {"model_dir", "output_dir"} & self.remote.keys():
            return earlier_run.find(job)
        folder = self.remote.get("output_dir") or str(earlier_run.output_dir(job))
        text = storage.read_file(
            f"{folder}/metrics.json", options=self.options, patience=self._sending
        )
        return earlier_run.checked(
            text or b"",
            model_dir=self.remote.get("model_dir", job.model_dir),
            layout=job.layout,
            is_there=lambda path: storage.is_file(
                path, options=self.options, patience=self._sending
            ),
        )

    def finish(self) -> None:
        self.checkpoint_written()
        self._send("output_dir")

    @property
    def _sending(self) -> Patience:
        return Patience(stopped=self.stopped, seconds=self.options.limits.sending)

    def _send(self, field: str) -> None:
        folder = Path(self.local.get(field, ""))
        if field in self.sent and folder.is_dir():
            self._push(folder, self.sent[field], flag=flag_of(field))

    def _push(self, folder: Path, url: str, *, flag: str = "--model-dir") -> None:
        upload_folder(folder, url, flag=flag, options=self.options, stopped=self.stopped)
