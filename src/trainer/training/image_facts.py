"""Facts about the images of a run that its data tells: one shape, and the number of classes."""

from __future__ import annotations

import google_crc32c

from trainer.config import DataError
from trainer.data import ImageSpec, Stream
from trainer.distribution import Strategy
from trainer.training import consensus
from trainer.training.run_data import SplitData


def check_same_shape(train: SplitData, other: SplitData | None) -> None:
    """Raise a DataError if the images of another split differ in height, width or channels."""
    first, second = train.stream, other.stream if other else None
    if first and second and first.spec.shape != second.spec.shape:
        sizes, alike = (first.spec, second.spec), first.spec.shape[2] == second.spec.shape[2]
        texts = [each.text if alike else f"{_colours(each)} ({each.text})" for each in sizes]
        raise DataError(
            subject=second.tables[0].name,
            problem=f"images are {texts[1]}, those of the training data, "
            f"{first.tables[0].name}, {texts[0]}",
            remedy="--image-size HEIGHT,WIDTH resizes both"
            if alike
            else "make both grey or both in colour: no flag changes the channels",
        )


def _colours(spec: ImageSpec) -> str:
    return {1: "grey", 3: "in colour"}.get(spec.shape[2], f"of {spec.shape[2]} channels")


def check_same_on_hosts(strategy: Strategy, train: Stream) -> None:
    """Raise a DataError if hosts that hold a part each do not read it alike; each process calls it.

    Names of classes, and pixel values that become 0 and 1, are inferred from what a host holds.
    """
    names, spec = ", ".join(train.class_names), train.spec
    images = f"{spec.text} {spec.dtype} from {spec.low:g} to {spec.high:g}"
    digest = google_crc32c.value(f"{names} {images}".encode())
    if len(set(consensus.gather(strategy, [digest])[:, 0])) == 1:
        return
    found = consensus.gather(strategy, [google_crc32c.value(names.encode())])
    if len(set(found[:, 0])) > 1:
        raise DataError(
            subject="--train",
            problem=f"hosts hold other classes each, this one {names[:100] or 'none with names'}",
            remedy="name those of all hosts in a file: --classes FILE",
        )
    raise DataError(
        subject="--train",
        problem=f"hosts hold other images each, this one {images}",
        remedy="give --pixel-range LOW,HIGH, or --image-size H,W",
    )


def count_classes(strategy: Strategy, *splits: SplitData | None) -> int | None:
    """Return one more than the largest label in the data of all processes, each of which calls it.

    Args:
        strategy: The way the processes share the work.
        splits: The data of this process.

    Returns:
        None where a module of one's own reads data that does not tell.

    Raises:
        DataError: There is only one class.
    """
    # An error must not keep the other processes waiting: it is raised once all have met.
    problem: DataError | None = None
    largest = -1
    try:
        streams = (each.stream for each in splits if each and each.stream)
        largest = max((stream.largest_label() for stream in streams), default=-1)
    except DataError as error:
        problem = error
    classes = int(consensus.gather(strategy, [largest + 1]).max())
    if problem:
        raise problem
    if classes == 1:
        raise DataError(
            subject="--train",
            problem="all examples have label 0, expected two classes or more",
        )
    return classes or None
