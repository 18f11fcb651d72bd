"""The bar of a terminal: what it says at which width, and how it gives way to lines."""

import logging
import os
import re
import termios

import pytest

from trainer.runtime import OutputWriter, live_bar, log
from trainer.runtime.live_bar import rendered

NUMBERS = {
    "step": 1200,
    "of": 4690,
    "loss": 0.1234,
    "images_per_second": 12345.0,
    "epoch": 1.02,
    "eta": 75.0,
    "train_accuracy": 0.965,
    "test_accuracy": 0.989,
}
LINE = (
    "step=1200 of=4690 loss=0.1234 images_per_second=12345 epoch=1.02 eta=75s train_accuracy=0.9650"
)
TRAINING = logging.getLogger("trainer.training.progress_line")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.fixture
def bar():
    """A bar on a real terminal of 40 columns; returns the terminal's end that prints."""
    person, program = os.openpty()
    termios.tcsetwinsize(program, (24, 40))
    live_bar.begin(program)
    yield person, program
    live_bar.rest()
    os.close(person)
    os.close(program)


def test_a_wide_terminal_shows_all():
    text = plain(rendered(NUMBERS, 120))
    assert text.lstrip("━╸╺ ") == (
        "1200/4690  epoch 1.0  loss 0.1234  train 96.5%  test 98.9%  12,345 images/s  1:15 left"
    )


@pytest.mark.parametrize("width", [1, 7, 20, 40, 60, 80, 100, 101, 120, 300])
def test_it_never_fills_the_last_column(width):
    assert len(plain(rendered(NUMBERS, width))) <= max(width - 1, 1)


def test_a_task_without_classes_shows_its_loss():
    numbers = {name: n for name, n in NUMBERS.items() if "accuracy" not in name}
    text = plain(rendered(numbers | {"validation_loss": 0.5, "test_loss": 0.25}, 120))
    assert "loss 0.1234  validation loss 0.5000  test loss 0.2500  12,345 images/s" in text
    assert "test loss" not in plain(rendered(NUMBERS | {"test_loss": 0.25}, 120))


def test_transfers_show_megabytes_files_rate_and_the_time_that_is_left():
    numbers = {"step": 1500.2, "of": 3000.0, "files": 3, "of_files": 10, "mb_per_second": 123.45}
    text = plain(rendered(numbers | {"eta": 12.2}, 120))
    assert text.endswith("1,500/3,000 MB  3/10 files  123.5 MB/s  0:12 left")
    assert "left" not in plain(rendered(numbers, 120))


def test_a_process_that_ends_at_once_leaves_no_bar(bar):
    person, program = bar
    live_bar.wipe()
    live_bar.update(NUMBERS)
    os.write(program, live_bar.frame())
    live_bar.wipe()
    live_bar.wipe()
    os.write(program, b"$")
    shown = b""
    while not shown.endswith(b"$"):
        shown += os.read(person, 65536)
    assert shown.endswith(b"left\r\r\x1b[J$")


def test_a_narrow_terminal_keeps_step_loss_and_the_time_that_is_left():
    text = plain(rendered(NUMBERS, 40))
    assert text.lstrip("━╸╺ ") == "1200/4690 loss 0.1234 1:15 left"


def test_hours_are_shown_where_there_are_any():
    assert plain(rendered(NUMBERS | {"eta": 7209.0}, 120)).endswith("2:00:09 left")


def test_a_line_takes_the_place_of_the_bar_which_follows_below(bar):
    person, program = bar
    writer = OutputWriter(program)
    assert live_bar.update(NUMBERS)
    writer.draw_bar()
    writer.write()
    first = b""
    while not first.endswith(b"left\r"):
        first += os.read(person, 4096)
    assert b"1200/4690" in first
    writer.put(b"step=1200 test_accuracy=0.9890\n")
    writer.write()
    shown = b""
    # A terminal may hand over less than was written.
    while not shown.endswith(b"left\r"):
        shown += os.read(person, 4096)
    assert shown.startswith(b"\r\x1b[Jstep=1200 test_accuracy=0.9890\r\n")


def test_a_new_width_of_the_terminal_is_followed(bar):
    _, program = bar
    live_bar.update(NUMBERS)
    narrow = live_bar.frame()
    termios.tcsetwinsize(program, (24, 120))
    assert b"images/s" not in narrow
    assert b"images/s" in live_bar.frame()


def test_the_last_line_ends_it(bar):
    live_bar.update(NUMBERS)
    live_bar.frame()
    assert not live_bar.update(NUMBERS | {"step": 4690})
    assert not live_bar.is_on()
    assert live_bar.above(b"step=4690\n") == b"\r\x1b[Jstep=4690\n"
    assert live_bar.above(b"more\n") == b"more\n"


@pytest.mark.parametrize(
    "line",
    [
        "stopped at step=100 of=4690",
        "step=100 reached target_accuracy=0.99",
        "step=100 ended by a callback of the module",
    ],
)
def test_a_run_that_ends_early_ends_it(line, bar):
    assert live_bar.take(LINE)
    assert not live_bar.take(line)
    assert not live_bar.is_on()


def test_lines_of_another_process_say_the_same_as_its_records(bar):
    assert live_bar.take(LINE)
    assert not live_bar.take("step=1200 test_accuracy=0.9890 test_loss=0.0400")
    shown = live_bar.frame()
    live_bar.begin(bar[1])
    live_bar.update(NUMBERS)
    assert live_bar.frame() == shown


@pytest.mark.parametrize("line", ["", "step=1", "step=x of=2 loss=3", "step=1 of=2 loss=x y=z"])
def test_other_lines_are_left_alone(line, bar):
    assert not live_bar.take(line)
    assert live_bar.frame() == b""


def test_without_a_bar_nothing_changes(capsys):
    log.begin()
    TRAINING.info("step=1 of=2", extra={"fields": {"step": 1, "of": 2}})
    assert capsys.readouterr().out == "step=1 of=2\n"
    assert (live_bar.above(b"x\n"), live_bar.frame(), live_bar.take(LINE)) == (b"x\n", b"", False)


def test_the_slowest_and_the_fastest_rank_of_a_line_are_shown(bar):
    assert live_bar.take(f"{LINE} slowest_rank=1:2000 fastest_rank=0:2500")
    assert live_bar._bar is not None
    assert "slowest 1: 2,000, fastest 0: 2,500" in plain(rendered(live_bar._bar.numbers, 160))
