"""The data of a run as one typed value: its splits, their sizes and the length of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from trainer.config import Split
from trainer.data import CountedDataset, ExampleDataset, Feed, ImageSpec, Stream, TableSet

# Makes the training data of one worker: from its index, the number of workers, and how many steps
# all of them have taken when it begins.
DatasetFactory = Callable[[Any, int, Any], tf.data.Dataset]


@dataclass(frozen=True, kw_only=True)
class SplitData:
    """The training or the test data of one process.

    Attributes:
        dataset: Batches of features and labels, and of weights where some rows weigh nothing.
        stream: The tables behind it; None for the data of a module of one's own.
        feed: Hands batches to the compiled step; None where tf.data does.
        examples: Examples of all processes together; None if that is not known.
        factory: Makes the same for any worker; None for test data.
    """

    dataset: tf.data.Dataset
    stream: Stream | TableSet | None = None
    feed: Feed | None = None
    examples: int | None = None
    factory: DatasetFactory | None = None

    @classmethod
    def of(
        cls,
        data: tf.data.Dataset,
        *,
        examples: int | None = None,
        factory: DatasetFactory | None = None,
    ) -> SplitData:
        """Return what is known of a data set, which is little if a module made it itself.

        Args:
            data: From an `input_fn`.
            examples: If not as many as the data set counts.
            factory: See `SplitData`.
        """
        if isinstance(data, CountedDataset) and examples is None:
            examples = data.examples
        if not isinstance(data, ExampleDataset):
            return cls(dataset=data, examples=examples, factory=factory)
        return cls(
            dataset=data,
            stream=data.stream,
            feed=data.feed,
            examples=data.stream.total if examples is None else examples,
            factory=factory,
        )

    @property
    def spec(self) -> ImageSpec | None:
        """The form of the images; None for the data of a module of one's own."""
        return self.stream.spec if self.stream else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes by label; empty if the data does not tell."""
        return self.stream.class_names if self.stream else ()

    @property
    def description(self) -> dict[str, Any]:
        """Kind, count and files, for the log and `metrics.json`."""
        if self.stream is None:
            return {"kind": "module", "examples": self.examples, "files": [], "damaged": []}
        return {
            "kind": self.stream.kind,
            "examples": self.examples,
            "files": [table.name for table in self.stream.tables if table.kind != "synthetic"],
            "damaged": self.stream.damage,
        }


@dataclass(frozen=True, kw_only=True)
class RunData:
    """All the data of a run.

    Attributes:
        train: Its training data.
        validation: The data to evaluate on during the training; None if there is none.
        test: Its test data; None if there is none.
        batch_size: Examples in a step of all processes together.
        steps: Steps of the whole run.
        epoch_steps: Steps of an epoch; those of the run if the data does not tell its size.
        classes: The number of classes; None for the data of a module of one's own.
        class_names: The names of the classes by label; empty if nothing tells.
    """

    train: SplitData
    validation: SplitData | None = None
    test: SplitData | None
    batch_size: int
    steps: int
    epoch_steps: int
    classes: int | None = None
    class_names: tuple[str, ...] = ()

    @property
    def all_class_names(self) -> list[str]:
        """A name for each class, its number where it has no other; empty if none has a name."""
        if not self.class_names:
            return []
        numbers = range(len(self.class_names), self.classes or 0)
        return [*self.class_names, *map(str, numbers)]

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels of the images; None for the data of a module of one's own."""
        return self.train.spec.shape if self.train.spec else None

    @property
    def splits(self) -> dict[Split, SplitData]:
        """The splits that are there, by name."""
        found: dict[Split, SplitData | None] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return {name: data for name, data in found.items() if data}

    @property
    def watched(self) -> Split | None:
        """The split that is evaluated on during the training; None if nothing is evaluated."""
        if self.validation:
            return "validation"
        return "test" if self.test else None

    @property
    def unseen(self) -> SplitData:
        """The data for samples: what is not trained on, if there is any."""
        return self.test or self.validation or self.train

    @property
    def descriptions(self) -> dict[Split, dict[str, Any]]:
        """The descriptions of the splits, by name."""
        return {name: data.description for name, data in self.splits.items()}
