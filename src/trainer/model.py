"""The built-in models under the name that users write: `--module trainer.model`."""

from trainer.models import input_fn, keras_model, serving_input_fn, serving_samples

__all__ = ["input_fn", "keras_model", "serving_input_fn", "serving_samples"]
