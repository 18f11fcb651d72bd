"""The models that are loaded: found, loaded, replaced by newer versions and let go of."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import GRAPH
from trainer.runtime import output
from trainer.serving.http.errors import HTTPError
from trainer.serving.models import discover
from trainer.serving.models.batching import Batcher
from trainer.serving.models.discover import Fingerprint
from trainer.serving.models.model import ServedModel
from trainer.serving.models.version import AVAILABLE, END, LOADING, UNLOADING, Version, VersionState

DEFAULT_NAME = "model"
TICK = 0.05


@dataclass
class ModelStore:
    """All models of a folder.

    One thread loads and lets go of models; any thread may ask for one.

    Args:
        folder: Where they are.
        name: Of a model that has no folder of its own.
        keep: Newest versions of each to have loaded.
        make_batcher: Gives a model its queue.
        batching: See `Model`.
        sizes: Numbers of rows that a model is tried out with before it is shown.
        drain: Seconds that a version which is to go waits for its last requests.
        tell: Gets a line for what is loaded, let go of or cannot be loaded.
    """

    folder: Path
    name: str
    keep: int
    make_batcher: Callable[[str, ServedModel], Batcher]
    batching: bool | None = None
    sizes: tuple[int, ...] = (1,)
    drain: float = 60.0
    tell: Callable[[str], None] = output.out
    _versions: Mapping[str, Mapping[int, Version]] = field(default_factory=dict)
    _states: dict[tuple[str, int], VersionState] = field(default_factory=dict)
    _loaded: dict[tuple[str, int], Fingerprint] = field(default_factory=dict)
    # As last seen: what has not changed since the look before is whole, or will not be loaded.
    _seen: dict[tuple[str, int], Fingerprint] = field(default_factory=dict)
    _failed: dict[tuple[str, int], Fingerprint] = field(default_factory=dict)
    # Why nothing was loaded or let go of at the last look.
    _problem: str = ""

    def check(self) -> None:
        """Raise a UserError if there is no model; nothing is loaded yet."""
        if not discover.find(self.folder, name=self.name):
            raise UserError(
                subject=f"--model-dir {self.folder}",
                problem=f"no SavedModel there; expected {self.folder}/<number>/{GRAPH}",
            )

    def get(self, name: str | None = None, number: int | None = None) -> Version:
        """A version that is loaded.

        Args:
            name: Of the model; the default one, if none is given.
            number: Of the version; the newest, if none is given.

        Raises:
            HTTPError: There is none, in TensorFlow Serving's words.
        """
        name = self.known(name)
        versions = self._versions.get(name, {})
        if number is None and versions:
            return versions[max(versions)]
        if number is None or number not in versions:
            asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise HTTPError(404, f"Servable not found for request: {asked}")
        return versions[number]

    def known(self, name: str | None) -> str:
        """The name of a model; `model` always means the default one."""
        if name is not None and (name in self._versions or name != DEFAULT_NAME):
            return name
        names = sorted(self._versions)
        return self.name if self.name in names or not names else names[0]

    def names(self) -> list[str]:
        """The models that can be asked."""
        return sorted(self._versions)

    def status(self, name: str, number: int | None = None) -> dict[int, VersionState]:
        """The states of a model's versions, the newest first.

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
        """All states, by model and version."""
        return [((name, str(number)), s) for (name, number), s in list(self._states.items())]

    def waiting(self) -> list[tuple[tuple[str, str], float]]:
        """The requests of each version that wait or are being answered."""
        return [
            ((name, str(number)), float(version.batcher.waiting))
            for name, versions in self._versions.items()
            for number, version in versions.items()
        ]

    @property
    def calling(self) -> bool:
        """Whether any model is at work."""
        versions = [v for found in self._versions.values() for v in found.values()]
        return any(version.batcher.calling for version in versions)

    def refresh(self, *, first: bool = False) -> None:
        """Look once, and load and let go of what has changed.

        Args:
            first: Take folders as they are; later, a new one must be whole, and have been so twice
                in a row.
        """
        try:
            found = discover.find(self.folder, name=self.name)
        except UserError as error:
            # Somebody has put a second model of a name there.
            if str(error) != self._problem:
                self.tell(f"warning: {error}; until then nothing is loaded or let go of")
            self._problem = str(error)
            return
        self._problem = ""
        wanted = {
            (name, number): versions[number]
            for name, versions in found.items()
            for number in sorted(versions)[-self.keep :]
        }
        seen: dict[tuple[str, int], Fingerprint] = {}
        for key, path in wanted.items():
            state = discover.fingerprint(path, partial=first)
            if state is None:
                continue
            seen[key] = state
            stable = first or self._seen.get(key) == state
            if stable and state not in (self._loaded.get(key), self._failed.get(key)):
                self._load(key, path, state)
        self._seen = seen
        for name, number in [key for key in self._loaded if key not in wanted]:
            versions = self._versions[name]
            replaced = sum(n > number for n in versions) >= self.keep
            # The last one that is loaded goes on, though its folder has gone.
            gone = number not in found.get(name, {}) and len(versions) > 1
            if replaced or gone:
                self._unload((name, number))

    def _load(self, key: tuple[str, int], path: Path, state: Fingerprint) -> None:
        name, number = key
        if key not in self._loaded:
            self._states[key] = VersionState(LOADING)
        begun = time.monotonic()
        try:
            model = ServedModel(path, batching=self.batching)
            if not model.signatures:
                raise ValueError("it has no signature that can be served")
            try:
                model.warm_up(self.sizes)
            except HTTPError as error:
                self.tell(f"warning: {name}/{number} fails on zeros: {error.message}")
            for line in model.check_batching():
                self.tell(f"warning: {name}/{number}: {line}")
        except Exception as error:
            # Whatever TensorFlow makes of a broken folder: others go on, and so does this server.
            reason = " ".join(str(error).split())[:300]
            self._failed[key] = state
            if key not in self._loaded:
                self._states[key] = VersionState(END, "UNKNOWN", reason)
            self.tell(f"cannot load {name}/{number}: {type(error).__name__}: {reason}")
            return
        before = self._versions.get(name, {}).get(number)
        version = Version(name, number, model, self.make_batcher(name, model))
        self._show(name, {**self._versions.get(name, {}), number: version})
        self._loaded[key] = state
        self._states[key] = VersionState(AVAILABLE)
        self.tell(f"loaded {name}/{number} in {time.monotonic() - begun:.2f} s")
        if before is not None:
            self._end(before)

    def _unload(self, key: tuple[str, int]) -> None:
        name, number = key
        version = self._versions[name][number]
        self._states[key] = VersionState(UNLOADING)
        self._show(name, {n: v for n, v in self._versions[name].items() if n != number})
        del self._loaded[key]
        self._end(version)
        self._states[key] = VersionState(END)
        self.tell(f"let go of {name}/{number}")

    def _show(self, name: str, versions: Mapping[int, Version]) -> None:
        # Replaced as a whole: readers need no lock.
        self._versions = {**self._versions, name: versions}

    def _end(self, version: Version) -> None:
        until = time.monotonic() + self.drain
        # Once in any case: somebody may have found it just now, and not begun to use it.
        time.sleep(TICK)
        while not version.idle and time.monotonic() < until:
            time.sleep(TICK)
        version.batcher.close()
        del version
        gc.collect()
