"""A run of predictions: files in, several requests in flight, answers out, in their order."""

from __future__ import annotations

import functools
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainer.config import DataError, UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.prediction.answers import AnswerFile, class_of
from trainer.endpoints.prediction.asking import (
    RefusedRequestError,
    RetryPolicy,
    StoppedAskingError,
    predictions,
)
from trainer.endpoints.prediction.files import InputFile, find_inputs
from trainer.endpoints.prediction.pieces import Piece, PieceLimits
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.packaging import read_class_names
from trainer.runtime import StopRequest

logger = logging.getLogger(__name__)

PROBLEMS, STOPPED = 1, 130


def predict(
    client: EndpointClient,
    paths: list[str],
    options: PredictOptions,
    *,
    stop: StopRequest,
    progress: float = 5.0,
) -> int:
    """Ask an endpoint about files.

    Args:
        client: The endpoint.
        paths: Files, folders, globs, or `-` for standard input.
        options: Of the verb.
        stop: Set to end early; answers so far are kept.
        progress: Seconds between lines of progress.

    Returns:
        The exit code: 0, 1 if a file has no answer, 130 if the run was stopped.

    Raises:
        UserError: Nothing is there to ask about, or the endpoint refuses all requests.
        RetryableError: The endpoint did not answer after all tries.
    """
    files = find_inputs(paths, kind=options.input_format)
    names = _names_in(Path(options.class_names)) if options.class_names else client.class_names()
    answers = AnswerFile(
        Path(options.out) if options.out else None,
        endpoint=client.name,
        as_csv=options.as_csv,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    run = _Run(client, options, answers, names, stop, len(files), progress)
    try:
        run.ask_all(files)
    finally:
        part = None if run.is_complete else answers.close()
        if part is not None:
            text = "%d answers are in %s; the same command goes on from there"
            logger.warning(text, answers.found, part)
    if not run.is_complete:
        logger.warning("stopped rows=%d", answers.found)
        return STOPPED
    answers.finish()
    run.report(done=True)
    return PROBLEMS if run.problems else 0


class _Run:
    """The state of a run.

    Attributes:
        problems: The first problem of each file that has one.
        is_complete: Whether all files have been asked about.
    """

    def __init__(
        self,
        client: EndpointClient,
        options: PredictOptions,
        answers: AnswerFile,
        names: tuple[str, ...],
        stop: StopRequest,
        files: int,
        every: float,
    ) -> None:
        self._client, self._options, self._answers = client, options, answers
        self._names, self._stop, self._files, self._every = names, stop, files, every
        size = int((options.max_payload_mb or 0) * 1e6) or client.limit
        self._limits = PieceLimits(rows=options.batch_rows, size=size)
        self._policy = RetryPolicy(tries=options.tries, wait=stop.wait)
        self._waiting: deque[tuple[Piece, Future[list[Any]]]] = deque()
        self._begun = self._reported = time.monotonic()
        self._before, self._read = answers.found, 0
        self.problems: dict[str, str] = {}
        self.is_complete = False

    def ask_all(self, files: list[InputFile]) -> None:
        """Ask about all files, and write the answers in their order."""
        pool = ThreadPoolExecutor(self._options.parallel, thread_name_prefix="predict")
        try:
            for file in files:
                try:
                    self._ask(file, pool)
                except DataError as error:
                    self._note(file.source, f"{error.problem}", error.remedy)
                self._read += 1
                if self._stop():
                    return
            while self._waiting and not self._stop():
                self._take()
            self.is_complete = not self._stop()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._answers.flush()

    def _ask(self, file: InputFile, pool: ThreadPoolExecutor) -> None:
        done = self._answers.answers(file.source)
        found = file.pieces(
            self._limits, skip=done.__contains__, skip_heading=self._options.csv_heading,
            scale=self._options.scale,
        )  # fmt: skip
        for piece in found:
            call: Callable[[], list[Any]] = functools.partial(
                predictions, self._client, piece, self._policy
            )
            self._waiting.append((piece, pool.submit(call)))
            # Some are read ahead, so that no thread waits for a file.
            while len(self._waiting) >= 2 * self._options.parallel:
                self._take()
            if self._stop():
                return

    def _take(self) -> None:
        """Write the answers to the oldest request."""
        piece, future = self._waiting.popleft()
        while not self._stop():
            try:
                found = future.result(timeout=0.5)
                break
            except TimeoutError:
                self.report()
            except StoppedAskingError:
                return
            except (RefusedRequestError, DataError) as error:
                rows = f"rows {piece.numbers[0]} to {piece.numbers[-1]}: "
                text = error.problem if isinstance(error, DataError) else str(error)
                self._note(piece.source, (rows if len(piece.numbers) > 1 else "") + text)
                return
        else:
            return
        for number, each in zip(piece.numbers, found, strict=True):
            name = class_of(each, self._names) if self._names else None
            self._answers.add(piece.source, number, each, name)
        self._answers.flush()
        self.report()

    def _note(self, source: str, problem: str, remedy: str | None = None) -> None:
        if source not in self.problems:
            self.problems[source] = problem
            logger.error("%s", UserError(subject=source, problem=problem, remedy=remedy))

    def report(self, *, done: bool = False) -> None:
        """Log how far the run is, now and then, and at its end."""
        now = time.monotonic()
        if not done and now - self._reported < self._every:
            return
        self._reported = now
        rows = self._answers.found
        rate = (rows - self._before) / max(now - self._begun, 1e-3)
        failed = f" failed_files={len(self.problems)}" if self.problems else ""
        logger.info(
            "predicted rows=%d files=%d of=%d rows_per_second=%.1f%s",
            rows, self._read, self._files, rate, failed,
        )  # fmt: skip


def _names_in(path: Path) -> tuple[str, ...]:
    """Return names of classes from a text file, or from a model's folder."""
    if path.is_dir():
        found = read_class_names(path)
        for folder in sorted(path.glob("*/saved_model.pb"), reverse=True):
            found = found or read_class_names(folder.parent)
    elif path.is_file():
        found = tuple(path.read_text("utf-8").splitlines())
    else:
        raise UserError(subject=f"--class-names {path}", problem="nothing is there")
    if not found:
        raise UserError(subject=f"--class-names {path}", problem="holds no names of classes")
    return found
