"""A model module as the trainer uses it: its own functions, and defaults for the others."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.data import ImageSpec

# What each function of a module is called with; all but the first may be left out.
PARAMETERS = {
    "keras_model": ("hparams",),
    "input_fn": ("paths", "mode", "batch_size", "shard"),
    "serving_input_fn": ("model",),
    "serving_samples": ("features",),
    "loss_fn": ("labels", "outputs", "sample_weight"),
    "metrics": (),
    "optimizer": ("hparams",),
    "callbacks": (),
}
# What a module may say that it is trained for.
TASKS = ("classification", "regression")


@dataclass(frozen=True, kw_only=True)
class ModelModule:
    """The functions of a model module.

    Attributes:
        name: As `--module` has it.
        is_builtin: True for the trainer's own module, whose functions need no checks.
        keras_model: Makes the model, given the hyperparameters.
        input_fn: Makes the data set of some paths; the built-in readers' by default.
        serving_input_fn: Makes the signatures of a model; by default one, of the model's inputs.
        serving_samples: Gives the same features to each signature; None compares by name.
        loss_fn: Computes the loss of each example; None has it chosen by labels and outputs.
        metrics: Makes the Keras metrics of an evaluation, by name; None has none but the usual.
        optimizer: Makes the optimizer; None makes that of the hyperparameters.
        callbacks: Makes the callbacks of a run; None has none.
        task: One of `TASKS`; None if the module does not say.
        reads_data: True if `input_fn` is the module's own.
        serves_images: True if the signatures are the trainer's own, of images as it reads them.
    """

    name: str
    is_builtin: bool
    keras_model: Callable[..., Any]
    input_fn: Callable[..., Any]
    serving_input_fn: Callable[..., Any]
    serving_samples: Callable[..., Any] | None = None
    loss_fn: Callable[..., Any] | None = None
    metrics: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    callbacks: Callable[..., Any] | None = None
    task: str | None = None
    reads_data: bool = False
    serves_images: bool = False

    def serving(self, spec: ImageSpec | None) -> ModelModule:
        """Return the module with signatures that take examples as the training data has them.

        Args:
            spec: The form of the images in the training data; None if it has none.
        """
        if spec is None or not self.serves_images:
            return self
        assert self.serving_samples
        return dataclasses.replace(
            self,
            serving_input_fn=functools.partial(self.serving_input_fn, spec=spec),
            serving_samples=functools.partial(self.serving_samples, spec=spec),
        )
