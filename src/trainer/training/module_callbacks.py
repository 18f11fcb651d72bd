"""The Keras callbacks of a module, called at the ends of epochs and of the run.

Honoured are `set_params`, `set_model`, `on_train_begin`, `on_epoch_begin`, `on_epoch_end` and
`on_train_end`, in every process, and `model.stop_training = True`, which ends the run as its last
step would. Steps run in compiled calls of many, so that there are no calls for batches.
"""

from __future__ import annotations

from typing import Any

import keras

from trainer.config import UserError
from trainer.models import ModelModule, describe
from trainer.training.controller import Callback
from trainer.training.run_state import RunState


class ModuleCallback(Callback):
    """A Keras callback of a module.

    Args:
        callback: The callback.
        model: The model of the run.
        module: The name of the module.
        epoch_steps: Steps of an epoch.
    """

    chief_only = False

    def __init__(
        self, callback: keras.callbacks.Callback, model: keras.Model, *, module: str,
        epoch_steps: int,
    ) -> None:  # fmt: skip
        self._callback, self._model, self._module = callback, model, module
        self.every = epoch_steps
        self._epoch = -1

    def begin(self, state: RunState) -> None:
        self._model.stop_training = False
        steps = {"steps": self.every, "epochs": -(-state.steps // self.every), "verbose": 0}
        self._call("set_params", steps)
        self._call("set_model", self._model)
        self._call("on_train_begin")
        self._begin_epoch(state)

    def is_due(self, state: RunState) -> bool:
        return super().is_due(state) or state.step == state.steps

    def run(self, state: RunState) -> None:
        evaluated = state.evaluation.values if state.evaluation else {}
        scores = {name.removeprefix("train_"): value for name, value in state.train_scores.items()}
        logs = {
            "loss": state.train_loss,
            **scores,
            **{f"val_{name}": value for name, value in evaluated.items()},
        }
        self._call("on_epoch_end", self._epoch, logs)
        if self._model.stop_training:
            state.ended_by_module = True
        elif not state.is_over:
            self._begin_epoch(state)

    def end(self, state: RunState) -> None:
        self._call("on_train_end")

    def _begin_epoch(self, state: RunState) -> None:
        self._epoch = state.step // self.every
        self._call("on_epoch_begin", self._epoch)

    def _call(self, method: str, *args: Any) -> None:
        try:
            getattr(self._callback, method)(*args)
        except (Exception, SystemExit) as error:
            name = type(self._callback).__name__
            raise UserError(
                subject=f"callbacks of {self._module}",
                problem=f"{method} of {name}: {describe(error)}",
            ) from error


def module_callbacks(
    module: ModelModule, model: keras.Model, *, epoch_steps: int
) -> list[ModuleCallback]:
    """Return the callbacks that a module makes.

    Args:
        module: The module.
        model: The model of the run.
        epoch_steps: Steps of an epoch.

    Raises:
        UserError: It makes something else.
    """
    made = module.callbacks() if module.callbacks else []
    if not isinstance(made, (list, tuple)) or not all(
        isinstance(each, keras.callbacks.Callback) for each in made
    ):
        raise UserError(
            subject=f"callbacks of {module.name}",
            problem=f"returned {made!r}"[:120],
            remedy="return a list of keras.callbacks.Callback",
        )
    return [
        ModuleCallback(each, model, module=module.name, epoch_steps=epoch_steps) for each in made
    ]
