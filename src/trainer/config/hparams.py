"""The hyperparameters of a run, each of which is also a flag of `trainer train`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config.options import by_model, option
from trainer.config.registry import NamesOf

MODEL, TRAINING = "model", "training"


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class Hparams:
    """The hyperparameters, from which `keras_model(hparams)` and the optimizer are made.

    Options made by `by_model` are None until `recipes.complete` fills in the model's recipe.

    Attributes:
        input_shape: Height, width and channels of the images, which the data tells once it is
            read; None before, and where a module of one's own reads data that does not.
        classes: The number of classes, in the same way.
    """

    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None

    model: str = option(
        "cnn", "built-in model, with its recipe", MODEL,
        choices=NamesOf("trainer.models:MODELS", explained=True),
    )
    precision: str = option(
        None, "arithmetic of the layers; weights stay float32 (default: bfloat16 where the "
        "processor or GPU has it, float16 on older GPUs, else and where hosts differ float32)",
        MODEL, choices=("float32", "bfloat16", "float16"),
    )
    dropout: float = by_model(
        "share of the inputs that dropout sets to zero", MODEL, low=0, high=0.99
    )
    hp: tuple[tuple[str, str], ...] = option(
        (), "a hyperparameter of a model of your own, which finds it as dict(hparams.hp)['NAME']",
        MODEL, metavar="NAME=VALUE", many=True,
    )

    batch_size: int = by_model(
        "examples in a step, of all processes together (see --scaling)", TRAINING, low=1,
        high=65536,
    )
    optimizer: str = by_model(
        "how gradients become changes of the weights", TRAINING, choices=("adam", "adamw", "sgd")
    )
    learning_rate: float = by_model(
        "the highest learning rate of the schedule", TRAINING, low=0, above=True, high=1000
    )
    schedule: str = by_model(
        "how the learning rate changes over the run", TRAINING,
        choices=("constant", "cosine", "one-cycle"),
    )
    warmup: float = by_model(
        "share of the steps in which the learning rate rises to its highest", TRAINING, low=0,
        high=1,
    )
    momentum: float = option(0.9, "of sgd (Nesterov's)", TRAINING, low=0, high=0.9999)
    beta_1: float = by_model("decay of adam's mean gradient", TRAINING, low=0, high=0.9999)
    beta_2: float = by_model("decay of adam's mean square", TRAINING, low=0, high=0.99999)
    epsilon: float = option(1e-8, "added to adam's divisor", TRAINING, low=0, above=True, high=1)
    weight_decay: float = option(
        0.01, "of adamw, multiplied by the learning rate", TRAINING, low=0, high=1
    )
    label_smoothing: float = by_model(
        "share of a label's weight spread over all classes", TRAINING, low=0, high=0.9
    )
    seed: int = option(0, "seed of weights, shuffling and dropout", TRAINING, low=0, high=2**31 - 1)
    # fmt: on
