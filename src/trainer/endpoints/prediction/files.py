"""Input files of predictions: files, folders, globs and standard input, and how each is read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import DataError, UserError
from trainer.endpoints.prediction import pieces
from trainer.endpoints.prediction.pieces import Piece, PieceLimits
from trainer.endpoints.prediction.pixel_scale import PixelScale
from trainer.storage import globs, is_remote, local_path

IMAGE, NPY, CSV, JSON_LINES, JSON = "image", "npy", "csv", "jsonl", "json"
KINDS = (IMAGE, NPY, CSV, JSON_LINES, JSON)
SUFFIXES = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".bmp"), IMAGE),
    ".npy": NPY,
    ".csv": CSV,
    **dict.fromkeys((".jsonl", ".jsonlines", ".ndjson"), JSON_LINES),
    ".json": JSON,
}
STDIN = "-"
# By the first bytes of a file whose name says nothing.
_MAGIC = {b"\x89PNG\r\n\x1a\n": IMAGE, b"\xff\xd8\xff": IMAGE, b"\x93NUMPY": NPY}


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of rows.

    Attributes:
        source: Its name in answers: the path, or `-` for standard input.
        kind: One of `KINDS`; None if its first bytes are to say it.
    """

    source: str
    kind: str | None

    def pieces(
        self,
        limits: PieceLimits,
        *,
        skip: Callable[[int], bool],
        skip_heading: bool = False,
        scale: PixelScale | None = None,
        stdin: Callable[[], bytes] = lambda: sys.stdin.buffer.read(),
    ) -> Iterator[Piece]:
        """Yield its rows in pieces that fit into one request.

        Args:
            limits: Of one request.
            skip: Returns whether the row of some number needs no answer.
            skip_heading: Leave out the first line of CSV.
            scale: What becomes of the values of arrays and CSV; None to send them as they are.
            stdin: Reads standard input to its end.

        Raises:
            DataError: It cannot be read, or is not of its kind.
        """
        data = stdin() if self.source == STDIN else None
        try:
            yield from self._pieces(data, limits, skip, skip_heading, scale)
        except OSError as error:
            raise DataError(
                subject=self.source, problem=f"cannot be read: {error.strerror or error}"
            ) from None

    def _pieces(
        self,
        data: bytes | None,
        limits: PieceLimits,
        skip: Callable[[int], bool],
        skip_heading: bool,
        scale: PixelScale | None,
    ) -> Iterator[Piece]:
        path, kind = Path(self.source), self.kind or self._sniffed(data)
        if kind == IMAGE:
            whole = path.read_bytes() if data is None else data
            yield from pieces.image_piece(self.source, whole, limits, skip)
        elif kind == NPY:
            array = path if data is None else data
            yield from pieces.npy_pieces(self.source, array, limits, skip, scale)
        elif scale and kind != CSV:
            raise DataError(
                subject=self.source, problem="--pixel-range is for pictures, arrays and CSV files"
            )
        elif kind == JSON:
            whole = path.read_bytes() if data is None else data
            lines = pieces.json_lines_of(self.source, whole)
            yield from pieces.line_pieces(self.source, lines, pieces.JSON_LINES, limits, skip)
        else:
            media_type = pieces.CSV if kind == CSV else pieces.JSON_LINES
            with path.open("rb") if data is None else io.BytesIO(data) as opened:
                rows = iter(opened)
                if skip_heading and kind == CSV:
                    next(rows, None)
                scaled = scale.rows(rows, self.source) if scale else rows
                yield from pieces.line_pieces(self.source, scaled, media_type, limits, skip)

    def _sniffed(self, data: bytes | None) -> str:
        if data is None:
            with Path(self.source).open("rb") as file:
                head = file.read(16)
        else:
            head = data[:16]
        for magic, kind in _MAGIC.items():
            if head.startswith(magic):
                return kind
        if head.lstrip()[:1] in (b"{", b"["):
            return JSON
        raise DataError(
            subject=self.source,
            problem="its name and first bytes do not say its format",
            remedy=f"name it with --input-format {'|'.join(KINDS)}",
        )


def find_inputs(paths: Sequence[str], *, kind: str | None = None) -> list[InputFile]:
    """Return the files that paths name, each once, in order.

    Args:
        paths: Files, folders to any depth, globs, or `-` for standard input.
        kind: The format of all of them; by default what their names say.

    Raises:
        UserError: Nothing is there, or a folder holds no file of a known format.
    """
    found: dict[str, InputFile] = {}
    for path in paths:
        if path == STDIN:
            found[path] = InputFile(source=path, kind=kind)
            continue
        if is_remote(path):
            raise UserError(
                subject=path,
                problem="expected files on this machine",
                remedy="fetch them with trainer data sync",
            )
        local = local_path(path, flag="FILES")
        matches = globs.find(Path(local))
        if not matches:
            raise UserError(subject=local, problem="nothing is there")
        for match in matches:
            for file in _files_in(match, kind) if match.is_dir() else [match]:
                named = kind or SUFFIXES.get(file.suffix.lower())
                found.setdefault(str(file), InputFile(source=str(file), kind=named))
    return list(found.values())


def _files_in(folder: Path, kind: str | None) -> list[Path]:
    below = sorted(folder.rglob("*"))
    shown = [
        file
        for file in below
        if file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    ]
    known = [file for file in shown if kind or file.suffix.lower() in SUFFIXES]
    if not known:
        raise UserError(
            subject=folder,
            problem=f"holds no file that can be asked about; expected {', '.join(SUFFIXES)}",
        )
    return known
