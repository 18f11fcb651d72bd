r"""Show how far a run is in one line at the bottom of a terminal, in place of progress lines.

    live_bar.begin(fd=1)                     # once a process, where standard output is a terminal
    live_bar.update({"step": 100, "of": 600, "loss": 0.1})
    live_bar.above(b"a line\n")              # what `OutputWriter` writes for it
    live_bar.end()                           # the next line takes the bar's place

Nothing is hidden or switched on in the terminal, so that a killed process leaves it as it was. The
cursor waits at the bar's beginning: what is erased from there on is all of it, even where a
narrower window has broken it into several lines.
"""

from __future__ import annotations

import io
import os
import re
import select
from collections.abc import Mapping
from typing import Any

# Seconds between two updates, at least.
PACE = 0.2
_ERASE = b"\r\x1b[J"
_COLUMNS = 80
# Columns above which there are two spaces between the parts.
_WIDE = 100
# Cells of the bar itself.
_NARROWEST, _WIDEST = 6, 30
# A progress line, and those that end or complete it, as another process logs them.
_PROGRESS = re.compile(r"step=\d+ of=\d+ loss=")
_TESTED = re.compile(r"step=\d+ (?:test|validation)_\w+=")
_MEASURED = ("validation_accuracy", "validation_loss", "test_accuracy", "test_loss")
_ENDS = re.compile(
    r"stopped at step=\d+ of=\d+$|step=\d+ (?:reached target_accuracy=|stopped early:|ended by)"
)


class LiveBar:
    """The line, and what it shows.

    Args:
        fd: The terminal.

    Attributes:
        fd: The terminal.
        is_drawn: Whether it stands on the terminal now.
        is_over: Whether it is to go.
    """

    def __init__(self, fd: int) -> None:
        self.is_drawn = self.is_over = False
        self.numbers: dict[str, float] = {}
        self.fd = fd
        self._frame: tuple[int, bytes] | None = None

    def update(self, numbers: Mapping[str, Any]) -> None:
        """Show other numbers from the next frame on."""
        self.numbers.update(numbers)
        self._frame = None

    def frame(self) -> bytes:
        """Return the line, as wide as the terminal is now; nothing before the first step."""
        if "of" not in self.numbers:
            return b""
        width = self._width()
        if self._frame is None or self._frame[0] != width:
            self._frame = width, _ERASE + rendered(self.numbers, width).encode() + b"\r"
        self.is_drawn = True
        return self._frame[1]

    def erased(self) -> bytes:
        """Return what takes the line away, if it is there."""
        drawn, self.is_drawn = self.is_drawn, False
        return _ERASE if drawn else b""

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self.fd).columns or _COLUMNS
        except OSError:
            return _COLUMNS


# The bar of this process.
_bar: LiveBar | None = None


def begin(fd: int) -> None:
    """Show a bar on a terminal from the first progress on."""
    global _bar
    _bar = LiveBar(fd)


def is_on() -> bool:
    """Return whether progress is shown by a bar."""
    return _bar is not None and not _bar.is_over


def end() -> None:
    """Take the bar away with the next line, or with `rest`."""
    if _bar:
        _bar.is_over = True


def update(numbers: Mapping[str, Any]) -> bool:
    """Show numbers of a log record.

    Returns:
        Whether the bar shows all that the record says, so that its line is not to be printed.
    """
    if _bar is None or _bar.is_over:
        return False
    if "of" in numbers and numbers["step"] < numbers["of"]:
        _bar.update(numbers)
        return True
    if "of" in numbers:
        end()
    else:
        _bar.update({name: numbers[name] for name in _MEASURED if name in numbers})
    return False


def take(line: str) -> bool:
    """Show a line that another process has logged; as `update`."""
    if not is_on():
        return False
    if _ENDS.match(line):
        end()
    if not (_PROGRESS.match(line) or _TESTED.match(line)):
        return False
    pairs = (word.partition("=") for word in line.split())
    numbers: dict[str, float] = {}
    try:
        for name, _, value in pairs:
            number, _, speed = value.partition(":")
            numbers[name] = float(number.removesuffix("s"))
            if speed:
                numbers[name.removesuffix("rank") + "images_per_second"] = float(speed)
        return update(numbers)
    except ValueError:
        return False


def above(lines: bytes) -> bytes:
    """Return what writes whole lines to the terminal, and the bar below them again."""
    if _bar is None:
        return lines
    erased = _bar.erased()
    return erased + lines + (b"" if _bar.is_over else _bar.frame())


def frame() -> bytes:
    """Return what draws the bar in its place; nothing where there is none."""
    return _bar.frame() if _bar and not _bar.is_over else b""


def wipe() -> None:
    """Take the bar away at once, from any thread, where a process ends without more output."""
    if _bar and _bar.is_drawn:
        poll = select.poll()
        poll.register(_bar.fd, select.POLLOUT)
        if poll.poll(0):
            os.write(_bar.fd, _bar.erased())


def rest() -> bytes:
    """Return what takes the bar away for good; nothing where there is none."""
    global _bar
    erased = _bar.erased() if _bar else b""
    _bar = None
    return erased


def rendered(numbers: Mapping[str, float], width: int) -> str:
    """Return the line with its colours: the more columns there are, the more it says.

    Args:
        numbers: The fields of progress lines, and the last accuracy of an evaluation.
        width: The columns of the terminal; the last one stays empty.
    """
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    parts = _parts(numbers)
    room = width - 1 - _NARROWEST
    gap = 2 if width > _WIDE else 1
    kept: dict[str, str] = {}
    for name in ("step", "loss", "eta", "train", "validation", "test", "speed", "epoch", "ranks"):
        if name in parts and len(parts[name]) + gap <= room:
            kept[name] = parts[name]
            room -= len(parts[name]) + gap
    bar = ProgressBar(
        total=numbers["of"],
        completed=numbers["step"],
        width=min(_NARROWEST + room, _WIDEST),
        style="bright_black",
        complete_style="green",
    )
    table = Table.grid(padding=(0, gap, 0, 0), pad_edge=False)
    for _ in range(len(kept) + 1):
        table.add_column(no_wrap=True)
    # The order on the screen is that of `_parts`, not that in which they found room.
    texts = [text for name, text in parts.items() if name in kept]
    table.add_row(bar, *texts)
    # All is given: the console asks neither the environment nor the terminal.
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard", width=max(width - 1, 1),
        legacy_windows=False, highlight=False, markup=False, _environ={},
    )  # fmt: skip
    with console.capture() as captured:
        console.print(table, end="", no_wrap=True, crop=True)
    return captured.get().rstrip("\n ")


def _parts(numbers: Mapping[str, float]) -> dict[str, str]:
    """Return the texts from left to right."""
    if "mb_per_second" in numbers:
        return _transfer_parts(numbers)
    of = f"{numbers['of']:.0f}"
    parts = {"step": f"{numbers['step']:{len(of)}.0f}/{of}"}
    for name, field, form in (
        ("epoch", "epoch", "epoch {:.1f}"),
        ("loss", "loss", "loss {:.4f}"),
        ("train", "train_accuracy", "train {:.1%}"),
        ("validation", "validation_accuracy", "validation {:.1%}"),
        ("test", "test_accuracy", "test {:.1%}"),
        ("speed", "images_per_second", "{:,.0f} images/s"),
    ):
        if numbers.get(field) is not None:
            parts[name] = form.format(numbers[field])
        elif numbers.get(f"{name}_loss") is not None:
            # Of a task without classes.
            parts[name] = f"{name} loss {numbers[f'{name}_loss']:.4f}"
    if numbers.get("fastest_rank") is not None:
        ends = (
            f"{end} {numbers[f'{end}_rank']:.0f}: {numbers[f'{end}_images_per_second']:,.0f}"
            for end in ("slowest", "fastest")
        )
        parts["ranks"] = ", ".join(ends)
    if numbers.get("eta") is not None:
        parts["eta"] = f"{_clock(numbers['eta'])} left"
    return parts


def _transfer_parts(numbers: Mapping[str, float]) -> dict[str, str]:
    """Return the texts of transfers: megabytes in place of steps."""
    of = f"{numbers['of']:,.0f}"
    parts = {
        "step": f"{numbers['step']:{len(of)},.0f}/{of} MB",
        "epoch": f"{numbers['files']:.0f}/{numbers['of_files']:.0f} files",
        "speed": f"{numbers['mb_per_second']:,.1f} MB/s",
    }
    if numbers.get("eta") is not None:
        parts["eta"] = f"{_clock(numbers['eta'])} left"
    return parts


def _clock(seconds: float) -> str:
    """Return a time as 1:05 or 2:00:09."""
    minutes, rest_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_seconds:02}" if hours else f"{minutes}:{rest_seconds:02}"
