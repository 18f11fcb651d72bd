"""The options of `trainer predict`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import UserError, flag_of, option, options_of, pixel_range
from trainer.endpoints.endpoint_address import WHERE, EndpointAddress
from trainer.endpoints.prediction.files import KINDS
from trainer.endpoints.prediction.pixel_scale import PixelScale

ANSWERS, REQUESTS = "answers", "requests"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class PredictOptions(EndpointAddress):
    """Settings of predictions by an endpoint."""

    to: str | None = option(
        None, "where the endpoint is (default: http for a url, vertex for a number or "
        "projects/…/endpoints/…, else sagemaker)", WHERE,
        choices=("sagemaker", "vertex", "docker", "http"),
    )

    out: str | None = option(
        None, "file for the answers, which appears when it is whole; a run that was stopped goes "
        "on where it was (default: JSON lines on standard output)", ANSWERS, metavar="FILE",
    )
    format: str | None = option(
        None, "of the answers (default: csv for a FILE.csv, else jsonl)", ANSWERS,
        choices=("jsonl", "csv"),
    )
    resume: bool = option(
        False, "ask only for what a FILE of JSON lines that is there does not answer", ANSWERS
    )
    overwrite: bool = option(False, "replace a FILE that is there", ANSWERS)
    class_names: str | None = option(
        None, "names of the classes: a text file with a line each, or the model's folder "
        "(default: what the server says)", ANSWERS, metavar="PATH",
    )

    input_format: str | None = option(
        None, "of the files (default: by their names)", REQUESTS, choices=KINDS
    )
    csv_heading: bool = option(False, "leave out the first line of CSV files", REQUESTS)
    pixel_range: str | None = option(
        None, "values of arrays and CSV files that are sent as 0 and 1, such as 0,255 for bytes "
        "to a model of trainer train (default: values are sent as they are)", REQUESTS,
        metavar="LOW,HIGH",
    )
    parallel: int = option(8, "requests at a time", REQUESTS, low=1, high=64)
    batch_rows: int = option(64, "most rows in a request", REQUESTS, low=1, high=65536)
    max_payload_mb: float | None = option(
        None, "most of a request's body in MB (default: SageMaker 6, Vertex AI 1.5, others 50)",
        REQUESTS, low=0, above=True, high=2048, metavar="MB",
    )
    timeout: float = option(
        60.0, "seconds for an answer", REQUESTS, low=0, above=True, high=3600, metavar="SECONDS"
    )
    tries: int = option(
        8, "how often a request is sent that gets 429, 503 or no answer", REQUESTS, low=1, high=100
    )
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(PredictOptions).items():
            limits.check(flag_of(name), getattr(self, name))
        for name in ("resume", "overwrite"):
            if getattr(self, name) and not self.out:
                raise UserError(subject=flag_of(name), problem="is for --out FILE only")
        if self.resume and self.overwrite:
            raise UserError(subject="--resume, --overwrite", problem="give one of them")
        if self.pixel_range:
            pixel_range(self.pixel_range)

    @property
    def scale(self) -> PixelScale | None:
        """The scale of values; None if they stay as they are."""
        if self.pixel_range is None:
            return None
        low, high = pixel_range(self.pixel_range)
        return PixelScale(low=low, high=high)

    @property
    def as_csv(self) -> bool:
        """True for answers in CSV."""
        if self.format:
            return self.format == "csv"
        return bool(self.out and self.out.lower().endswith(".csv"))
