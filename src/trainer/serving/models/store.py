"""The models of a folder: loaded, replaced by newer versions, unloaded."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import GRAPH_FILE
from trainer.serving.http.errors import HTTPError
from trainer.serving.models import discover
from trainer.serving.models.batching import Batcher
from trainer.serving.models.discover import Fingerprint
from trainer.serving.models.served_model import ServedModel
from trainer.serving.models.version import AVAILABLE, END, LOADING, UNLOADING, Version, VersionState

logger = logging.getLogger(__name__)

DEFAULT_NAME = "model"
# The name of a model and the number of a version.
Key = tuple[str, int]


@dataclass
class ModelStore:
    """All models of a folder.

    One thread loads and unloads models; any thread may get one.

    Args:
        folder: The folder.
        name: Of a model that has no folder of its own.
        keep: Newest versions of each model to keep loaded.
        make_batcher: Makes the queue of a model.
        batching: See `ServedModel`.
        sizes: Numbers of rows that a model is called with before requests may ask it.
        drain: Seconds that a version which is replaced waits for its last requests.
        tick: Seconds between looks whether it has answered them.
        load_model: Loads a SavedModel's folder.
    """

    folder: Path
    name: str
    keep: int
    make_batcher: Callable[[str, ServedModel], Batcher]
    batching: bool | None = None
    sizes: tuple[int, ...] = (1,)
    drain: float = 60.0
    tick: float = 0.05
    load_model: Callable[..., ServedModel] = ServedModel
    _versions: Mapping[str, Mapping[int, Version]] = field(default_factory=dict)
    _states: dict[Key, VersionState] = field(default_factory=dict)
    _loaded: dict[Key, Fingerprint] = field(default_factory=dict)
    # At the last look. A version that has not changed since is taken to be completely copied.
    _found: dict[Key, Fingerprint] = field(default_factory=dict)
    _failed: dict[Key, Fingerprint] = field(default_factory=dict)
    # The reason why the last look loaded and unloaded nothing.
    _problem: str = ""

    def check(self) -> None:
        """Raise a UserError if the folder has no model; load nothing yet."""
        if not discover.find(self.folder, name=self.name):
            raise UserError(
                subject=f"--model-dir {self.folder}",
                problem=f"no SavedModel there; expected {self.folder}/<number>/{GRAPH_FILE}",
            )

    def get(self, name: str | None = None, number: int | None = None) -> Version:
        """Return a version that is loaded.

        Args:
            name: Of the model; None for the default one.
            number: Of the version; None for the newest.

        Raises:
            HTTPError: There is none, in TensorFlow Serving's words.
        """
        name = self.known(name)
        versions = self._versions.get(name, {})
        if number is None and versions:
            return versions[max(versions)]
        if number is None or number not in versions:
            wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise HTTPError(404, f"Servable not found for request: {wanted}")
        return versions[number]

    def known(self, name: str | None) -> str:
        """Return the name of the model that a request means; `model` is always the default one."""
        if name is not None and (name in self._versions or name != DEFAULT_NAME):
            return name
        names = sorted(self._versions)
        return self.name if self.name in names or not names else names[0]

    def names(self) -> list[str]:
        """Return the names of the models that are loaded."""
        return sorted(self._versions)

    def status(self, name: str, number: int | None = None) -> dict[int, VersionState]:
        """Return the states of a model's versions, the newest first.

        Raises:
            HTTPError: There are none, in TensorFlow Serving's words.
        """
        name = self.known(name)
        states = {n: s for (m, n), s in self._states.items() if m == name}
        if not states:
            raise HTTPError(404, f"Could not find any versions of model {name}")
        if number is not None and number not in states:
            raise HTTPError(404, f"Could not find version {number} of model {name}")
        return {n: states[n] for n in sorted(states, reverse=True) if number in (None, n)}

    def states(self) -> list[tuple[tuple[str, str], VersionState]]:
        """Return all states, each with its model and version."""
        return [((name, str(number)), s) for (name, number), s in list(self._states.items())]

    def waiting(self) -> list[tuple[tuple[str, str], float]]:
        """Return how many requests of each version wait or are being answered."""
        return [
            ((name, str(number)), float(version.batcher.waiting))
            for name, versions in self._versions.items()
            for number, version in versions.items()
        ]

    @property
    def calling(self) -> bool:
        """True if any model is being called."""
        versions = [v for found in self._versions.values() for v in found.values()]
        return any(version.batcher.calling for version in versions)

    def refresh(self, *, first: bool = False) -> None:
        """Look at the folder once; load new versions and unload old ones.

        Args:
            first: Load all versions as they are. At later looks a new version must have all its
                files, and they must be the same as at the look before.
        """
        try:
            found = discover.find(self.folder, name=self.name)
        except UserError as error:
            # Two folders have the same model; which of them is meant is not ours to decide.
            if str(error) != self._problem:
                logger.warning("%s; until then nothing is loaded or let go of", error)
            self._problem = str(error)
            return
        self._problem = ""
        wanted = {
            (name, number): versions[number]
            for name, versions in found.items()
            for number in sorted(versions)[-self.keep :]
        }
        present: dict[Key, Fingerprint] = {}
        for key, path in wanted.items():
            state = discover.fingerprint(path, partial=first)
            if state is None:
                logger.debug("%s/%d lacks some of its files", *key)
                continue
            present[key] = state
            stable = first or self._found.get(key) == state
            if stable and state not in (self._loaded.get(key), self._failed.get(key)):
                self._load(key, path, state)
        self._found = present
        for name, number in [key for key in self._loaded if key not in wanted]:
            versions = self._versions[name]
            replaced = sum(n > number for n in versions) >= self.keep
            # The last loaded version is served on, even if its folder was removed.
            gone = number not in found.get(name, {}) and len(versions) > 1
            if replaced or gone:
                self._unload((name, number))

    def _load(self, key: Key, path: Path, state: Fingerprint) -> None:
        name, number = key
        if key not in self._loaded:
            self._states[key] = VersionState(LOADING)
        begun = time.monotonic()
        try:
            model = self.load_model(path, batching=self.batching)
            if not model.signatures:
                raise ValueError("it has no signature that can be served")
            try:
                model.warm_up(self.sizes)
            except HTTPError as error:
                logger.warning("%s/%d fails on zeros: %s", name, number, error.message)
            for line in model.check_batching():
                logger.warning("%s/%d: %s", name, number, line)
        except Exception as error:
            # TensorFlow raises errors of any kind for a broken folder; other versions go on.
            reason = " ".join(str(error).split())[:300]
            self._failed[key] = state
            if key not in self._loaded:
                self._states[key] = VersionState(END, "UNKNOWN", reason)
            kind = type(error).__name__
            logger.error("cannot load %s/%d: %s: %s", name, number, kind, reason)
            return
        before = self._versions.get(name, {}).get(number)
        version = Version(name, number, model, self.make_batcher(name, model))
        self._publish(name, {**self._versions.get(name, {}), number: version})
        self._loaded[key] = state
        self._states[key] = VersionState(AVAILABLE)
        logger.info("loaded %s/%d in %.2f s", name, number, time.monotonic() - begun)
        if before is not None:
            self._end(before)

    def _unload(self, key: Key) -> None:
        name, number = key
        version = self._versions[name][number]
        self._states[key] = VersionState(UNLOADING)
        self._publish(name, {n: v for n, v in self._versions[name].items() if n != number})
        del self._loaded[key]
        self._end(version)
        self._states[key] = VersionState(END)
        logger.info("let go of %s/%d", name, number)

    def _publish(self, name: str, versions: Mapping[int, Version]) -> None:
        # Replace the whole mapping, so that readers need no lock.
        self._versions = {**self._versions, name: versions}

    def _end(self, version: Version) -> None:
        until = time.monotonic() + self.drain
        # Wait at least once: a request may have got the version and not marked it as in use yet.
        time.sleep(self.tick)
        while not version.idle and time.monotonic() < until:
            time.sleep(self.tick)
        version.batcher.close()
        del version
        gc.collect()
