"""Reads the four MNIST files with gzip and numpy alone: no rival leans on our own reader."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Mnist(NamedTuple):
    """Images are (n, 28, 28) and labels (n,), all uint8."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def read_idx(path: Path) -> np.ndarray:
    """Return the uint8 array of a gzipped IDX file, writable because torch asks for that."""
    raw = gzip.decompress(path.read_bytes())
    # Two zero bytes, the type code (8 is uint8), the rank, then one big-endian size per axis.
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", count=rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def load_mnist(directory: Path) -> Mnist:
    """Return MNIST from a directory that holds the four files under their original names."""
    return Mnist(
        read_idx(directory / "train-images-idx3-ubyte.gz"),
        read_idx(directory / "train-labels-idx1-ubyte.gz"),
        read_idx(directory / "t10k-images-idx3-ubyte.gz"),
        read_idx(directory / "t10k-labels-idx1-ubyte.gz"),
    )
