"""The synthetic digits as a table, which needs neither a file nor a network."""

from __future__ import annotations

import numpy as np

from trainer.data.formats.table import Table
from trainer.data.synthetic import draw

# The data is the same in every run, whatever the run's own seed.
SEED = 0


class SyntheticTable(Table):
    """Digits drawn by `synthetic.draw`: the training split, or others for the test split."""

    kind = "synthetic"

    def __init__(self, split: str) -> None:
        self.name = f"synthetic {split} digits"
        self.damage: list[str] = []
        training = split == "train"
        self._count = draw.TRAIN_COUNT if training else draw.TEST_COUNT
        # Two seeds, so that no digit is in both splits.
        self._seed = 2 * SEED + (0 if training else 1)

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        images, labels = draw.draw(stop - start, seed=self._seed, start=start)
        return images, labels.astype(np.int32)
