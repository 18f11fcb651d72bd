"""The pictures of a run, `pictures.json` beside `metrics.json`: examples of its data as PNG."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from trainer.config import UserError
from trainer.reporting.record import RunRecord
from trainer.storage import StorageError, is_remote, local_path, remote

FILE_NAME = "pictures.json"


@dataclass(frozen=True, kw_only=True)
class PictureRecord:
    """An example of the data.

    Attributes:
        png: The picture, PNG in base64.
        true: Its class.
        predicted: The class that the model found; None if it was not asked.
        confidence: The probability of that.
        loss: Cross-entropy.
        example: Number in its file, or in the data where no file is known.
        file: The name of that.
    """

    png: str
    true: str
    predicted: str | None = None
    confidence: float | None = None
    loss: float | None = None
    example: int | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if not self.png.replace("+", "").replace("/", "").rstrip("=").isalnum():
            raise ValueError("a picture is not base64")


@dataclass(frozen=True, kw_only=True)
class PicturesRecord:
    """The pictures of a run.

    Attributes:
        weights_crc32c: As the `metrics.json` of the same run has it.
        worst: The test examples of the highest loss.
        uncertain: Those of the smallest margin between the two likeliest classes.
        samples: Some examples of the data.
    """

    weights_crc32c: list[str] = field(default_factory=list)
    worst: list[PictureRecord] = field(default_factory=list)
    uncertain: list[PictureRecord] = field(default_factory=list)
    samples: list[PictureRecord] = field(default_factory=list)


NO_PICTURES = PicturesRecord()


def read_pictures(folder: str, record: RunRecord) -> PicturesRecord:
    """Return the pictures of a run; none if there are none, or they are of an earlier run.

    Args:
        folder: Of its `metrics.json`; s3:// and gs:// too.
        record: The run.

    Raises:
        UserError: They are damaged or cannot be read.
    """
    folder = folder if is_remote(folder) else local_path(folder, flag="RUN")
    path = f"{folder.rstrip('/')}/{FILE_NAME}"
    try:
        data = remote.read_file(path)
        found = NO_PICTURES if data is None else msgspec.json.decode(data, type=PicturesRecord)
    except (OSError, StorageError) as error:
        raise UserError(subject=path, problem=f"it cannot be read: {error}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(
            subject=path,
            problem=f"it is damaged: {error}",
            remedy="copy it again from where the run wrote it, or remove it",
        ) from None
    return found if found.weights_crc32c == record.weights_crc32c else NO_PICTURES
