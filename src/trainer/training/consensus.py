"""What processes that share a run have to agree on before, and in, their steps."""

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
from trainer.launch import Value
from trainer.training.checkpoint import Progress

# Settings that are compared one by one where processes differ.
_MOST = 100


@dataclass(frozen=True, kw_only=True)
class Share:
    """How large a step is.

    Attributes:
        batch: Examples in a step of all processes together.
        scale: What the learning rate is multiplied by for it.
        scaling_epochs: Epochs in which it rises to that.
    """

    batch: int
    scale: float
    scaling_epochs: float

    def scale_steps(self, steps: int, epoch: int) -> float:
        """Steps in which the learning rate rises: at most half of the run's."""
        return min(self.scaling_epochs * epoch, steps / 2)


def share(job: Job, *, replicas: int) -> Share:
    """Divide a job's batch among replicas, or give each a whole one.

    Args:
        job: Complete.
        replicas: How many take a step together.

    Raises:
        UserError: The batch cannot be divided.
    """
    size = job.hparams.batch_size
    if job.scaling == "linear":
        return Share(batch=size * replicas, scale=replicas, scaling_epochs=job.scaling_epochs)
    if size % replicas:
        fitting = max(replicas, size // replicas * replicas)
        raise UserError(
            subject=f"--batch-size {size}",
            problem=f"cannot be divided among {replicas} replicas",
            remedy=f"take {fitting}, or --scaling linear to give each a whole batch",
        )
    return Share(batch=size, scale=1.0, scaling_epochs=0.0)


def agree(strategy: Strategy, progress: Progress, *, stopped: bool) -> tuple[Progress, bool]:
    """Where the run is, which the chief knows, and whether anyone was told to stop."""
    mine = dataclasses.astuple(progress) if strategy.is_chief else (0.0,) * 6
    *numbers, stops = strategy.sum([*mine, float(stopped)]).tolist()
    return Progress.of(numbers), stops > 0


def check_alike(strategy: Strategy, given: Mapping[str, Value]) -> None:
    """Compare what the processes were given, and what they have found in their data.

    Hosts have compared most of it when they met, but ranks that mpirun started did not meet.

    Args:
        strategy: How the work is shared.
        given: By flag, in the same order in all processes; hyperparameters of a module come last.

    Raises:
        UserError: They differ.
    """
    # All at once first: what it takes to find which one differs grows with the processes.
    digest = zlib.crc32(repr([(name, value.digest) for name, value in given.items()]).encode())
    if len({*_gather(strategy, [digest])[:, 0]}) == 1:
        return
    names = [*given]
    codes = [zlib.crc32(f"{name} {given[name].digest}".encode()) for name in names]
    # Of hyperparameters of a module there may be more in one process than in another.
    codes = (codes + [0] * _MOST)[:_MOST]
    found = _gather(strategy, codes)
    for rank, other in enumerate(found):
        for name, mine, theirs in zip([*names, "--hp"], found[strategy.rank], other, strict=False):
            if mine != theirs:
                value = given[name].text if name in given else "not given"
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


def _gather(strategy: Strategy, mine: Sequence[float]) -> np.ndarray:
    """Return what each process has: [processes, numbers]."""
    table = np.zeros((strategy.processes, len(mine)))
    table[strategy.rank] = mine
    return strategy.sum(table.ravel().tolist()).reshape(table.shape)


def align(strategy: Strategy, model: keras.Model, optimizer: keras.Optimizer) -> None:
    """Give all replicas what the chief has, but for the seeds: each drops other inputs."""
    # The optimizer knows the model's trainable variables as well; once is enough.
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


def moving(model: keras.Model) -> list[keras.Variable]:
    """The moving averages of layers that train: each replica has seen other examples."""
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
    """Compare what the processes have learned, which has to be the same to the last bit.

    Returns:
        The CRC32C of each process's trainable weights, hexadecimal.

    Raises:
        RuntimeError: They differ, so that gradients were not summed over all.
    """
    mine = int(digest(model), 16)
    found = strategy.sum([mine if i == strategy.rank else 0 for i in range(strategy.processes)])
    digests = [f"{int(number):08x}" for number in found]
    if len(set(digests)) > 1:
        raise RuntimeError(f"the processes ended with different weights: {' '.join(digests)}")
    return digests
