"""The choice of one checkpoint: the newest, the best or that of a step, from any folder."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError
from trainer.storage import RemotePath, download_objects, is_remote, local_path, remote
from trainer.training import checkpoint_state
from trainer.training.checkpoint_state import STATE, CheckpointState, DamagedError

FLAG = "--checkpoint"
BEST = "best"


@dataclass(frozen=True, kw_only=True)
class ChosenCheckpoint:
    """A whole checkpoint on local disk.

    Attributes:
        asked: The value of `--checkpoint`.
        path: Its folder.
        state: What its `state.json` says.
        steps: The steps of all checkpoints beside it.
    """

    asked: str
    path: Path
    state: CheckpointState
    steps: Sequence[int]

    def mistake(self, problem: str) -> UserError:
        """Return an error about this checkpoint that lists those that are there."""
        return _mistake(self.asked, f"{self.path.name} {problem}", self.steps)


@contextlib.contextmanager
def chosen_checkpoint(asked: str) -> Iterator[ChosenCheckpoint]:
    """Find a checkpoint and check its files; fetch it if it is remote.

    Args:
        asked: A folder of checkpoints, or `/best`, `/STEP` or `/ckpt-STEP` behind one.

    Yields:
        The checkpoint, whose folder is there as long as the block runs.

    Raises:
        UserError: There is none, or it is damaged.
    """
    folder, wanted = asked.rstrip("/"), ""
    if not is_remote(folder):
        folder = local_path(folder, flag=FLAG) or folder
    steps = _steps_in(folder)
    parent, _, last = folder.rpartition("/")
    if not steps and (last == BEST or re.fullmatch(r"(ckpt-)?\d{1,15}", last)):
        folder, wanted = parent or ("/" if folder.startswith("/") else "."), last
        steps = _steps_in(folder)
    if not steps:
        raise _mistake(asked, "no checkpoint is there", steps)
    if wanted == BEST:
        step = _best(asked, folder, steps)
    else:
        step = int(wanted.removeprefix("ckpt-")) if wanted else steps[-1]
    name = _name(step)
    if step not in steps:
        raise _mistake(asked, f"there is no {name}", steps)
    with contextlib.ExitStack() as stack:
        path = Path(folder, name)
        if is_remote(folder):
            work = stack.enter_context(tempfile.TemporaryDirectory(prefix="trainer-"))
            (fetched,) = download_objects(
                [f"{folder}/{name}"], Path(work), flag=FLAG, patterns=False
            )
            path = Path(fetched)
        try:
            state = checkpoint_state.read(path)
        except DamagedError as error:
            raise _mistake(asked, f"{name} is damaged ({error})", steps) from None
        yield ChosenCheckpoint(asked=asked, path=path, state=state, steps=steps)


def _steps_in(folder: str) -> list[int]:
    """Return the steps of the checkpoints in a folder, finished or not; none if there is none."""
    if is_remote(folder):
        names = remote.children(folder, flag=FLAG)
    else:
        path = Path(folder)
        names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    numbers = (int(name[5:]) for name in names if re.fullmatch(r"ckpt-\d{8,15}", name))
    return sorted(step for step in numbers if _name(step) in names)


def _best(asked: str, folder: str, steps: Sequence[int]) -> int:
    """Return the step of the best evaluation, which the newest readable checkpoint knows."""
    for step in reversed(steps):
        try:
            text = _read_state(folder, step)
            best = int(json.loads(text)["progress"]["best_step"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if best < 0:
            raise _mistake(asked, "no test accuracy is known of any", steps)
        return best
    raise _mistake(asked, f"no {STATE} can be read", steps)


def _read_state(folder: str, step: int) -> bytes:
    if is_remote(folder):
        return RemotePath(f"{folder}/{_name(step)}", flag=FLAG).read_small(STATE) or b""
    return Path(folder, _name(step), STATE).read_bytes()


def _name(step: int) -> str:
    return f"ckpt-{step:08d}"


def _mistake(asked: str, problem: str, steps: Sequence[int]) -> UserError:
    there = f"the steps there are {', '.join(map(str, steps))}"
    return UserError(
        subject=f"{FLAG} {asked}",
        problem=problem,
        remedy=there if steps else "name the folder that --checkpoint-dir named",
    )
