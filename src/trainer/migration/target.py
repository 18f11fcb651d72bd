"""The place that a script's jobs move to, and what addresses become there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainer.backends import BACKENDS, SubmitOptions
from trainer.config import UserError, options_of
from trainer.migration.values import Text, Unknown, parts_of, simplified

# Whose containers read gs:// where SageMaker's read s3://.
_GOOGLE = "vertex"
_ANY_BUCKET = Unknown(name="gcs_bucket", source="a bucket of Cloud Storage", line=0)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place of `trainer submit`.

    Attributes:
        place: Its name, as `--to` takes it.
        bucket: The bucket that takes the place of those in S3, or None where nobody names one.
    """

    place: str
    bucket: str | None = None

    def __post_init__(self) -> None:
        if self.place not in BACKENDS:
            names = ", ".join(BACKENDS)
            raise UserError(subject=f"--to {self.place}", problem=f"expected one of {names}")
        if self.bucket is not None and not self.bucket.startswith(("gs://", "s3://")):
            raise UserError(
                subject=f"--bucket {self.bucket}", problem="expected gs://BUCKET or s3://BUCKET"
            )

    def has(self, option: str) -> bool:
        """Return whether `trainer submit` has an option for this place, by its field."""
        return option in options_of(SubmitOptions) or option in options_of(
            BACKENDS[self.place].options
        )

    def url(self, value: Any) -> Any:
        """Return an address of the script as it is at this place."""
        if self.bucket is None and self.place != _GOOGLE:
            return value
        parts = [*parts_of(value)]
        first = parts[0] if isinstance(parts[0], str) else ""
        if not first.startswith("s3://"):
            return value
        bucket, slash, path = first.removeprefix("s3://").partition("/")
        rest: list[str | Unknown] = [path, *parts[1:]]
        if not bucket and not slash and len(parts) > 1:
            # The bucket itself exists only while the script runs.
            behind = parts[2] if len(parts) > 2 and isinstance(parts[2], str) else ""
            rest = [behind.partition("/")[2], *parts[3:]]
        where: list[str | Unknown] = (
            [f"{self.bucket.rstrip('/')}/"] if self.bucket else ["gs://", _ANY_BUCKET, "/"]
        )
        found = simplified([*where, *rest])
        if isinstance(found, Text) and found.parts[-1] == "/":
            return Text(found.parts[:-1])
        return found.rstrip("/") if isinstance(found, str) and not path else found
