"""Agreement between the processes of a run: on its settings, its position and its weights."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c
import keras
import numpy as np
import tensorflow as tf

from trainer.config import Job, UserError
from trainer.distribution import Strategy
from trainer.launch import StatedValue
from trainer.training.checkpoint_state import Progress

# Numbers that each process sends where settings differ, one for each setting.
_MOST = 100


@dataclass(frozen=True, kw_only=True)
class GlobalBatch:
    """The batch that all processes take together in one step.

    Attributes:
        size: Examples in it.
        rate_scale: The factor of the learning rate for a batch of this size.
        scaling_epochs: Epochs in which the factor rises from 1.
    """

    size: int
    rate_scale: float
    scaling_epochs: float

    def scale_steps(self, steps: int, epoch: int) -> float:
        """Return the steps in which the factor rises: at most half of the run's."""
        return min(self.scaling_epochs * epoch, steps / 2)


def global_batch(job: Job, *, replicas: int) -> GlobalBatch:
    """Divide a job's batch among replicas, or give each a whole one.

    Args:
        job: Complete.
        replicas: Number of replicas that take a step together.

    Raises:
        UserError: The batch cannot be divided.
    """
    size = job.hparams.batch_size
    if job.scaling == "linear":
        return GlobalBatch(
            size=size * replicas, rate_scale=replicas, scaling_epochs=job.scaling_epochs
        )
    if size % replicas:
        fitting = max(replicas, size // replicas * replicas)
        raise UserError(
            subject=f"--batch-size {size}",
            problem=f"cannot be divided among {replicas} replicas",
            remedy=f"take {fitting}, or --scaling linear to give each a whole batch",
        )
    return GlobalBatch(size=size, rate_scale=1.0, scaling_epochs=0.0)


def share_progress(
    strategy: Strategy, progress: Progress, *, stopped: bool
) -> tuple[Progress, bool]:
    """Send all processes the chief's position in the run, and any request to stop.

    Args:
        strategy: The way the processes share the work.
        progress: The position that this process knows.
        stopped: True if this process was asked to stop.

    Returns:
        The chief's progress, and True if any process was asked to stop.
    """
    own = dataclasses.astuple(progress)
    own = own if strategy.is_chief else (0.0,) * len(own)
    *numbers, stops = strategy.sum([*own, float(stopped)]).tolist()
    return Progress.of(numbers), stops > 0


def share_text(strategy: Strategy, text: str) -> str:
    """Send all processes a text of the chief's; an empty one costs one exchange."""
    own = text.encode() if strategy.is_chief else b""
    size = int(strategy.sum([float(len(own))])[0])
    if not size:
        return ""
    sent = strategy.sum([float(byte) for byte in own.ljust(size, b"\0")])
    return bytes(int(byte) for byte in sent).decode()


def check_alike(strategy: Strategy, settings: Mapping[str, StatedValue]) -> None:
    """Check that all processes have the same settings, and found as many examples.

    The launchers of several hosts have compared most settings already; ranks that mpirun started
    have no launcher.

    Args:
        strategy: The way the processes share the work.
        settings: By flag, in the same order in all processes; a module's hyperparameters come last.

    Raises:
        UserError: They differ.
    """
    # Compare one digest of everything first: to find which setting differs takes numbers of each
    # setting from each process.
    digest = zlib.crc32(repr([(name, value.digest) for name, value in settings.items()]).encode())
    if len({*gather(strategy, [digest])[:, 0]}) == 1:
        return
    names = [*settings]
    codes = [zlib.crc32(f"{name} {settings[name].digest}".encode()) for name in names]
    # One process may have more hyperparameters of a module than another: send equally many numbers.
    codes = (codes + [0] * _MOST)[:_MOST]
    found = gather(strategy, codes)
    for rank, codes in enumerate(found):
        for name, own, other in zip([*names, "--hp"], found[strategy.rank], codes, strict=False):
            if own != other:
                value = settings[name].text if name in settings else "not given"
                raise UserError(
                    subject=name,
                    problem=f"{value} for this process (rank {strategy.rank}), something else for "
                    f"rank {rank}",
                    remedy="give all processes the same",
                )
    raise UserError(
        subject="--hp",
        problem="not the same for all processes",
        remedy="give all processes the same",
    )


def gather(strategy: Strategy, numbers: Sequence[float]) -> np.ndarray:
    """Return the numbers of each process: float64 [processes, numbers]."""
    table = np.zeros((strategy.processes, len(numbers)))
    table[strategy.rank] = numbers
    return strategy.sum(table.ravel().tolist()).reshape(table.shape)


def broadcast_state(strategy: Strategy, model: keras.Model, optimizer: keras.Optimizer) -> None:
    """Give all replicas the chief's variables, but seeds of their own: each drops other inputs."""
    # The optimizer lists the model's trainable variables as well; send each variable once.
    variables = {id(v): v.value for v in (*model.variables, *optimizer.variables)}
    strategy.broadcast(list(variables.values()))
    if strategy.replicas == 1:
        return
    seeds = [v.value for v in model.non_trainable_variables if v.path.endswith(SEED)]

    def move() -> None:
        number = strategy.rank * strategy.local + strategy.replica()
        for seed in seeds:
            # Seed and count: those of the first replica stay, and are what checkpoints hold.
            seed.assign(seed + tf.cast(tf.stack([number, 0]), seed.dtype))

    if seeds:
        tf.function(lambda: strategy.on_replicas(move), autograph=False)()


SEED = "seed_generator_state"


def moving_averages(model: keras.Model) -> list[keras.Variable]:
    """Return the moving averages of layers that train, which differ between replicas.

    Each replica has computed them from its own examples.
    """
    return [
        variable
        for layer in model._flatten_layers()
        if layer.trainable and not isinstance(layer, keras.Model)
        for variable in layer.non_trainable_variables
        if "float" in str(variable.dtype)
    ]


def digest(model: keras.Model) -> str:
    """Return the CRC32C of this process's trainable weights, hexadecimal."""
    weights = [np.asarray(variable.value).tobytes() for variable in model.trainable_variables]
    crc = functools.reduce(lambda crc, part: google_crc32c.extend(crc, part), weights, 0)
    return f"{crc:08x}"


def check_equal(strategy: Strategy, model: keras.Model) -> list[str]:
    """Check that all processes have the same weights, to the last bit.

    Returns:
        The CRC32C of each process's trainable weights, hexadecimal.

    Raises:
        RuntimeError: They differ, so that gradients were not summed over all.
    """
    own = int(digest(model), 16)
    found = strategy.sum([own if i == strategy.rank else 0 for i in range(strategy.processes)])
    digests = [f"{int(number):08x}" for number in found]
    if len(set(digests)) > 1:
        raise RuntimeError(f"the processes ended with different weights: {' '.join(digests)}")
    return digests
