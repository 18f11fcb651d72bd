"""The way into pyarrow, which is an extra, and its errors as lines about files."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from trainer.config import DataError

EXTRA = "pip install 'trainer-anywhere[tables]'"


def import_arrow(path: object, module: str = "pyarrow") -> Any:
    """Return a module of pyarrow, imported when the first file of a table is opened.

    Args:
        path: The file that is to be read, for the error.
        module: `pyarrow`, `pyarrow.csv` or `pyarrow.parquet`.

    Raises:
        DataError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            subject=path,
            problem=f"CSV and Parquet files are read by pyarrow, which is not there ({error})",
            remedy=EXTRA,
        ) from None


@contextlib.contextmanager
def arrow_errors(path: object, *, kind: str) -> Iterator[None]:
    """Turn what pyarrow raises about a file into one line.

    Args:
        path: The file.
        kind: What people call its format.
    """
    try:
        yield
    except DataError:
        raise
    # pyarrow lets through what its parsers raise: of a footer, even errors about base64.
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError, MemoryError) as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            subject=path,
            problem=f"damaged {kind} file ({text})",
            remedy="fetch or write it again",
        ) from None
