"""A remote folder of checkpoints, fetched before a run and kept up to date while it trains."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.runtime import Patience, never_stopped
from trainer.storage import (
    NO_OPTIONS,
    RemotePath,
    StorageError,
    StorageOptions,
    download_objects,
    local,
    remote as storage,
    unfinished,
    upload_folder,
)
from trainer.training import checkpoint_state
from trainer.training.checkpoint_state import DamagedError

logger = logging.getLogger(__name__)


class CheckpointMirror:
    """Keeps a local folder of checkpoints and a remote one alike.

    Args:
        folder: The local one, as `trainer.training.checkpoint` fills it.
        url: The remote one.
        options: Settings of the drivers.
        stopped: Asked every second whether to give up restoring.
        alone: True if no other process writes to the remote one.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        options: StorageOptions = NO_OPTIONS,
        stopped: Callable[[], bool] = never_stopped,
        alone: bool = True,
    ) -> None:
        self._folder, self._url = folder, url.rstrip("/")
        self._more: dict[str, Any] = {"options": options, "flag": "--checkpoint-dir"}
        self._reading = self._more | {"patience": Patience(stopped=stopped)}
        sending = Patience(stopped=stopped, seconds=options.limits.sending)
        self._removing = self._more | {"patience": sending}
        self._transfer: dict[str, Any] = {"stopped": stopped}
        self._alone = alone
        # Damaged remote checkpoints and the tags of their objects: an object with another tag in
        # the same place may be whole.
        self._damaged: dict[str, str] = {}
        # Checkpoints that have been on both sides: if one is removed here, sync removes it there.
        self._known: set[str] = set()

    def restore(self) -> None:
        """Fetch the checkpoints that are whole; others are passed over, and left as they are.

        Raises:
            UserError: All are damaged, which only who writes them is to know.
        """
        while True:
            remote_names = self._remote_names()
            try:
                newest = self._fetch(remote_names)
                break
            except (UserError, StorageError):
                # The chief keeps the newest only, and may delete this one while it is fetched.
                if remote_names <= self._remote_names():
                    raise
        for name in self._known - remote_names:
            local.remove_folder(self._folder / name)
        self._known = remote_names & self._local_names()
        if self._alone and newest and not self._known:
            raise checkpoint_state.all_damaged(self._url, len(remote_names), newest)

    def _fetch(self, remote_names: set[str]) -> str:
        """Fetch what is new; return what is wrong with the newest that is damaged, if one is."""
        newest = ""
        self._folder.mkdir(parents=True, exist_ok=True)
        with unfinished.temporary_folder(self._folder) as part:
            names = [
                name
                for name in sorted(remote_names - self._local_names())
                if not self._is_passed_over(name)
            ]
            urls = [f"{self._url}/{name}" for name in names]
            more = self._more | self._transfer | {"patterns": False}
            for folder in map(Path, download_objects(urls, Path(part), **more)):
                try:
                    checkpoint_state.read(folder)
                except DamagedError as error:
                    self._damaged[folder.name] = self._tags(folder.name)
                    newest = f"{folder.name}: {error}"
                    logger.warning("--checkpoint-dir %s: passed over %s", self._url, newest)
                else:
                    local.move_folder(folder, self._folder / folder.name)
        return newest

    def _is_passed_over(self, name: str) -> bool:
        return name in self._damaged and self._damaged[name] == self._tags(name)

    def _tags(self, name: str) -> str:
        return RemotePath(f"{self._url}/{name}", **self._reading).identity()

    def sync(self) -> None:
        """Send what is new here, then delete remotely what has been deleted here, or is damaged."""
        for name in sorted(self._local_names() - self._known):
            if self._damaged.pop(name, None):
                # Remove the damaged checkpoint first, so that nobody reads files of both.
                storage.remove(f"{self._url}/{name}", **self._removing)
            upload_folder(
                self._folder / name, f"{self._url}/{name}", **self._transfer, **self._more
            )
            self._known.add(name)
            for older in [other for other in self._damaged if other < name]:
                storage.remove(f"{self._url}/{older}", **self._removing)
                del self._damaged[older]
        for name in sorted(self._known - self._local_names()):
            storage.remove(f"{self._url}/{name}", **self._removing)
            self._known.remove(name)

    def _remote_names(self) -> set[str]:
        names = RemotePath(self._url, **self._reading).contents()
        return {n.split("/")[0] for n in names if re.fullmatch(r"ckpt-\d+/state\.json", n)}

    def _local_names(self) -> set[str]:
        return {path.name for path in self._folder.glob("ckpt-*") if path.name[5:].isdecimal()}
