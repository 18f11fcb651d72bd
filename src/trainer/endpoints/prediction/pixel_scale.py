"""Values of arrays and tables on their way to a model that takes pixels from 0 to 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.config import DataError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class PixelScale:
    """A line on which one value becomes 0 and another one 1.

    Attributes:
        low: The value that is sent as 0.
        high: The value that is sent as 1.
    """

    low: float
    high: float

    def array(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return an array's numbers as float32, of the same shape."""
        import numpy as np

        return (values.astype(np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)

    def rows(self, lines: Iterable[bytes], source: str) -> Iterator[bytes]:
        """Yield the lines of a CSV file with their values on the scale; empty lines stay.

        Args:
            lines: Numbers with commas between them.
            source: The file, as an error names it.

        Raises:
            DataError: A value is no number.
        """
        for number, line in enumerate(lines):
            if not line.strip():
                yield line
                continue
            try:
                values = [float(text) for text in line.split(b",")]
            except ValueError:
                problem = f"row {number} has a value that is no number"
                mend = "--csv-heading leaves out a heading" if number == 0 else None
                raise DataError(subject=source, problem=problem, remedy=mend) from None
            span = self.high - self.low
            yield ",".join(f"{(value - self.low) / span:.7g}" for value in values).encode()
