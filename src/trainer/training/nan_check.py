"""The check for a loss that is NaN or infinite, with the batch that led to it."""

from __future__ import annotations

import numpy as np

from trainer.config import PeerError, UserError
from trainer.data import Stream, TableSet
from trainer.training.checkpoint_state import Progress


def check_finite(
    losses: np.ndarray,
    own_losses: np.ndarray,
    *,
    progress: Progress,
    batch_size: int,
    stream: Stream | TableSet | None,
) -> None:
    """Stop a run whose loss is NaN or infinite, before that is saved.

    Args:
        losses: Of each step, over all processes: float [steps].
        own_losses: The part of this process in them: float [steps].
        progress: The position of the run before these steps.
        batch_size: Examples in a step of all processes together.
        stream: The training data of this process; None for that of a module of one's own.

    Raises:
        UserError: A loss is not finite; the error names the batch.
        PeerError: A loss is not finite, but the part of this process in it is.
    """
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        bad = int(wrong[0])
        if np.isfinite(own_losses[bad]):
            # The process that read the batch can name its files.
            raise PeerError(f"step {progress.step + bad + 1}: another process's loss is not finite")
        if isinstance(stream, Stream):
            origin = stream.origin(progress.examples // batch_size + bad)
        else:
            origin = "the module's own input_fn" if stream is None else "a worker's files"
        raise UserError(
            subject=f"step {progress.step + bad + 1}",
            problem=f"the loss is {losses[bad]}; its batch came from {origin}",
            remedy="try a lower --learning-rate or --precision float32",
        )
