"""A loss that is NaN or infinite: what led to it, before any of it is saved."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.config import PeerError, UserError
from trainer.data import Stream
from trainer.training.checkpoint import Progress


def check_finite(
    losses: np.ndarray, mine: np.ndarray, *, progress: Progress, batch_size: int, data: Any
) -> None:
    """Stop a run whose loss is NaN or infinite, before that is saved.

    Args:
        losses: Of all processes together.
        mine: What this process added to them.
        progress: Where the run was before these steps.
        batch_size: Of all processes together.
        data: What this process reads.

    Raises:
        UserError: A loss is not finite; the batch is named.
        PeerError: So it is, by what another process read.
    """
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        bad = int(wrong[0])
        stream = getattr(data, "stream", None)
        if np.isfinite(mine[bad]):
            # The one that read it says more.
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
