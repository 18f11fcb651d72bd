"""The form of the images that a built-in model is made for."""

from __future__ import annotations

from trainer.config import Hparams, UserError
from trainer.data import CLASSES, IMAGE_SHAPE


def image_form(hparams: Hparams, *, smallest: int = 1) -> tuple[tuple[int, int, int], int]:
    """Return height, width and channels of the images, and the number of classes.

    Args:
        hparams: They hold both once the data has been read; before, MNIST's are returned.
        smallest: The least height and width that the model can work with.

    Raises:
        UserError: The images are smaller than that.
    """
    shape = hparams.input_shape or IMAGE_SHAPE
    height, width, _ = shape
    if min(height, width) < smallest:
        raise UserError(
            subject=f"--model {hparams.model}",
            problem=f"images of {height}×{width} are too small, "
            f"expected {smallest}×{smallest} or more",
            remedy="take another model, or enlarge them: --image-size HEIGHT,WIDTH",
        )
    return shape, hparams.classes or CLASSES
