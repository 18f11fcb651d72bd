"""Optimizers and learning-rate schedules, by the names that the command line has for them."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from trainer.config import Hparams, UserError
from trainer.models import ModelModule, loader

# One-cycle begins at 1/25 of its peak and ends at 1/250,000: L. Smith and N. Topin,
# "Super-convergence" (2018), with the constants that fast.ai and PyTorch made common.
START, END = 1 / 25, 1 / 250_000


@keras.saving.register_keras_serializable("trainer")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at each step of a run.

    Args:
        kind: `constant`; `cosine`: half a cosine down to zero; `one-cycle`: a straight line up to
            the peak and another down.
        peak: The highest rate.
        steps: Steps of the whole run.
        warmup: Share of the steps in which the rate rises, in a straight line.
        scale: Factor of the rate, for the larger batch of several processes.
        scale_steps: Steps in which that factor rises from 1, in a straight line: P. Goyal et al.,
            "Accurate, Large Minibatch SGD" (2017), §2.2.
    """

    def __init__(
        self,
        *,
        kind: str,
        peak: float,
        steps: int,
        warmup: float,
        scale: float = 1.0,
        scale_steps: float = 0.0,
    ) -> None:
        self.kind, self.peak, self.steps, self.warmup = kind, peak, steps, warmup
        self.scale, self.scale_steps = scale, scale_steps

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate at a step: a float32 scalar."""
        now, rising = tf.cast(step, tf.float32), self.warmup * self.steps
        down = tf.clip_by_value((now - rising) / max(1.0, self.steps - rising), 0.0, 1.0)
        rate = tf.constant(1.0)
        if self.kind == "cosine":
            rate = (1 + tf.cos(math.pi * down)) / 2
        elif self.kind == "one-cycle":
            rate = 1 + (END - 1) * down
        if rising:
            start = START if self.kind == "one-cycle" else 0.0
            rate = tf.where(now < rising, start + (1 - start) * (now + 1) / (rising + 1), rate)
        if self.scale != 1:
            risen = tf.minimum(now / max(1.0, self.scale_steps), 1.0)
            rate *= 1 + (self.scale - 1) * risen
        return self.peak * rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again."""
        names = ("kind", "peak", "steps", "warmup", "scale", "scale_steps")
        return {name: getattr(self, name) for name in names}


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam with TensorFlow's one-kernel update in place of a dozen small operations.

    The formula is the same; on a small model the step is a sixth shorter (docs/performance.md).
    With parameter servers it also keeps the optimizer's state right, see `_is_unreplicated`.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not _is_unreplicated():
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value, tf.float32) + 1
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
            use_locking=True,
        )


class FusedSGD(keras.optimizers.SGD):
    """Keras' SGD with one kernel for the momentum and the variable, for the same reasons."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum or not _is_unreplicated():
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(self.momentums[self._get_variable_index(variable)]),
            lr=tf.cast(learning_rate, tf.float32),
            grad=tf.cast(gradient, tf.float32),
            momentum=self.momentum,
            use_locking=True,
            use_nesterov=self.nesterov,
        )


def optimizer_of(
    module: ModelModule, hparams: Hparams, *, steps: int, scale: float = 1.0,
    scale_steps: float = 0.0,
) -> keras.optimizers.Optimizer:  # fmt: skip
    """Return the optimizer that a module makes, or else that of the hyperparameters.

    Args:
        module: The module; its `optimizer(hparams)` may also take `steps`, for a schedule.
        hparams: Complete, see `recipes.complete`.
        steps: See `make_optimizer`.
        scale: See `make_optimizer`; an optimizer of the module's own has its own rate.
        scale_steps: See `make_optimizer`.

    Raises:
        UserError: The module makes something else.
    """
    if not module.optimizer:
        return make_optimizer(hparams, steps=steps, scale=scale, scale_steps=scale_steps)
    made = loader.call_with_known(module.optimizer, hparams, steps=steps)
    if not isinstance(made, keras.optimizers.Optimizer):
        raise UserError(
            subject=f"optimizer of {module.name}",
            problem=f"returned {made!r}"[:120],
            remedy="return a keras.optimizers.Optimizer",
        )
    scales = isinstance(made, keras.optimizers.LossScaleOptimizer)
    is_half = hparams.precision == "float16" and not scales
    return keras.optimizers.LossScaleOptimizer(made) if is_half else made


def make_optimizer(
    hparams: Hparams, *, steps: int, scale: float = 1.0, scale_steps: float = 0.0
) -> keras.optimizers.Optimizer:
    """Make the optimizer that the hyperparameters describe.

    Args:
        hparams: Complete, see `recipes.complete`.
        steps: Steps of the whole run, for the schedule.
        scale: See `Schedule`.
        scale_steps: See `Schedule`.

    Returns:
        A Keras optimizer; with float16 one that scales the loss.
    """
    rate = Schedule(
        kind=hparams.schedule,
        peak=hparams.learning_rate,
        steps=steps,
        warmup=hparams.warmup,
        scale=scale,
        scale_steps=scale_steps,
    )
    if hparams.optimizer == "sgd":
        made = FusedSGD(rate, momentum=hparams.momentum, nesterov=hparams.momentum > 0)
    else:
        decay = hparams.weight_decay if hparams.optimizer == "adamw" else None
        made = FusedAdam(
            rate,
            beta_1=hparams.beta_1,
            beta_2=hparams.beta_2,
            epsilon=hparams.epsilon,
            weight_decay=decay,
        )
    return keras.optimizers.LossScaleOptimizer(made) if hparams.precision == "float16" else made


def _is_unreplicated() -> bool:
    """Return whether variables are unreplicated, so that a fused kernel may update them in place.

    On a parameter server a kernel has to do it. Keras reads, computes and then adds the difference
    in three operations. If other workers update the variable between these, the difference no
    longer belongs to its value: a second moment becomes negative, and its root a NaN. A kernel
    reads and writes under the variables' locks.
    """
    if not tf.distribute.has_strategy():
        return True
    servers = tf.distribute.experimental.ParameterServerStrategy
    return isinstance(tf.distribute.get_strategy(), servers)


def _handle(variable: Any) -> tf.Tensor:
    """Return the resource of a variable: of Keras' own, or of the variable that it wraps."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
