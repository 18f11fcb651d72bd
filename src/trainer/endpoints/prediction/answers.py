"""Answers to the rows of input files, and the file that they go to, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.runtime import output
from trainer.storage import local, unfinished


class AnswerError(Exception):
    """An endpoint's answer that does not fit the rows of its request."""


def predictions_of(body: bytes, rows: int) -> list[Any]:
    """Return the prediction of each row from the JSON that a server answers.

    Args:
        body: `{"predictions": […]}`, `{"outputs": …}`, or a bare list.
        rows: The rows that were sent.

    Raises:
        AnswerError: It is no such answer, or not one to so many rows.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise AnswerError("the answer is no JSON") from None
    found = document
    if isinstance(document, dict):
        found = document.get("predictions", document.get("outputs", document))
    if isinstance(found, dict) and all(
        isinstance(each, list) and len(each) == rows for each in found.values()
    ):
        found = [{name: found[name][row] for name in found} for row in range(rows)]
    if rows == 1 and not (isinstance(found, list) and len(found) == 1):
        found = [found]
    if not isinstance(found, list) or len(found) != rows:
        held = f"{len(found)} predictions" if isinstance(found, list) else "no predictions"
        raise AnswerError(f"the answer to {rows} rows has {held}")
    return found


def class_of(prediction: Any, names: Sequence[str]) -> str | None:
    """Return the name of the class that a prediction chooses, if it can be known.

    Args:
        prediction: A label, the scores of all classes, or a dictionary with one of these.
        names: The names of the classes by label.
    """
    values = list(prediction.values()) if isinstance(prediction, dict) else [prediction]
    if isinstance(prediction, dict) and "classes" in prediction:
        values.insert(0, prediction["classes"])
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
    for value in values:
        scores = value if isinstance(value, list) else []
        if len(scores) == len(names) and all(isinstance(s, (int, float)) for s in scores):
            return names[max(range(len(scores)), key=scores.__getitem__)]
    return None


class AnswerFile:
    """The answers of one run: on standard output, or in a file beside which a journal grows.

    The journal, `FILE.part`, has a line for each answer and begins with the endpoint's name. It
    stays when a run is stopped, and another run on the same endpoint goes on with it.

    Args:
        out: The file; None for standard output.
        endpoint: The endpoint's name.
        as_csv: True for CSV in place of JSON lines.
        resume: Take over the answers in a file that is there.
        overwrite: Replace a file that is there.

    Raises:
        UserError: The file is there, or cannot be written.
    """

    def __init__(
        self, out: Path | None, *, endpoint: str, as_csv: bool, resume: bool, overwrite: bool
    ) -> None:
        self._out, self._as_csv = out, as_csv
        self._header = json.dumps({"endpoint": endpoint})
        self._done: dict[str, set[int]] = {}
        self._stdout_begun = False
        if out is None:
            return
        if out.exists() and not (resume or overwrite):
            raise UserError(
                subject=f"--out {out}",
                problem="is there already",
                remedy="--resume asks for what it does not answer, --overwrite replaces it",
            )
        if resume and as_csv:
            raise UserError(
                subject=f"--out {out}",
                problem="CSV cannot be gone on with",
                remedy="write JSON lines, or take --overwrite",
            )
        try:
            self._begin_journal(out, resume=resume)
        except OSError as error:
            raise UserError(subject=f"--out {out}", problem=f"{error.strerror or error}") from None

    @property
    def found(self) -> int:
        """The number of answers so far."""
        return sum(map(len, self._done.values()))

    def answers(self, source: str) -> set[int]:
        """Return the rows of a file that are answered already."""
        return self._done.get(source, set())

    def add(self, source: str, row: int, prediction: Any, name: str | None) -> None:
        """Add the answer to one row."""
        answer = {"source": source, "row": row, "prediction": prediction}
        if name is not None:
            answer["class"] = name
        self._done.setdefault(source, set()).add(row)
        if self._out is None:
            self._print(answer)
        else:
            self._journal.write(json.dumps(answer, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Write what has been added to the journal."""
        if self._out is not None:
            self._journal.flush()

    def finish(self) -> None:
        """Make the file of the journal."""
        if self._out is None:
            return
        self._journal.close()
        part = unfinished.name_for(self._out)
        try:
            with local.naming_full_disk(self._out), part.open("w", encoding="utf-8") as file:
                if self._as_csv:
                    self._write_csv(file)
                else:
                    file.writelines(f"{line}\n" for line in self._lines())
            local.move_file(part, self._out)
        finally:
            part.unlink(missing_ok=True)
        self._part.unlink()

    def close(self) -> Path | None:
        """Leave the journal for another run, and return it; None if no answer is in it."""
        if self._out is None:
            return None
        self._journal.close()
        if not self.found:
            self._part.unlink()
            return None
        return self._part

    def _begin_journal(self, out: Path, *, resume: bool) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        self._part = unfinished.resumable_name_for(out)
        kept = [line for line in self._lines() if self._note(line)] if self._is_ours() else []
        if resume and out.exists():
            lines = out.read_text(encoding="utf-8").splitlines()
            kept += [line for line in lines if self._note(line)]
        # Also takes away a line that a killed run wrote half of.
        local.write_text(self._part, "".join(f"{line}\n" for line in [self._header, *kept]))
        self._journal = self._part.open("a", encoding="utf-8")

    def _is_ours(self) -> bool:
        if not self._part.is_file():
            return False
        with self._part.open(encoding="utf-8", errors="replace") as file:
            return file.readline().rstrip("\n") == self._header

    def _lines(self) -> Iterator[str]:
        with self._part.open(encoding="utf-8", errors="replace") as file:
            next(file, None)
            yield from (line.rstrip("\n") for line in file if line.endswith("\n"))

    def _note(self, line: str) -> bool:
        """Note a row as answered; return False for a line that is no answer, or is there twice."""
        try:
            answer = json.loads(line)
            source, row = answer["source"], answer["row"]
        except (ValueError, KeyError, TypeError):
            return False
        rows = self._done.setdefault(source, set())
        is_new = row not in rows
        rows.add(row)
        return is_new

    def _write_csv(self, file: io.TextIOBase | Any) -> None:
        # Dictionaries keep the order in which columns came up.
        columns: dict[str, None] = {}
        for line in self._lines():
            columns |= dict.fromkeys(flattened(json.loads(line)))
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flattened(json.loads(line)) for line in self._lines())

    def _print(self, answer: dict[str, Any]) -> None:
        if not self._as_csv:
            output.line_json(answer, to="out")
            return
        row, text = flattened(answer), io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._stdout_begun:
            writer.writerow(row)
            self._stdout_begun = True
        writer.writerow(row.values())
        output.out(text.getvalue().rstrip("\n"))


def flattened(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of an answer in CSV: a column for each number of a list."""
    row = {"source": answer["source"], "row": answer["row"]}
    if "class" in answer:
        row["class"] = answer["class"]
    value = answer["prediction"]
    named = value if isinstance(value, dict) else {"prediction": value}
    for name, each in named.items():
        row |= dict(_columns(name, each))
    return row


def _columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, list):
        yield name, value
        return
    for index, each in enumerate(value):
        yield from _columns(f"{name}.{index}", each)
