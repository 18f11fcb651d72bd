import pytest

from trainer.launch.rendezvous.failure import Failure
from trainer.runtime.display import display_value, printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain text, Zürich 東京 …", "plain text, Zürich 東京 …"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\ntrainer: failed: x", r"a\r\ntrainer: failed: x"),
        ("\u2028\u202e\x85\x9b\x7f", r"\u2028\u202e\x85\x9b\x7f"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, printed):
    assert printable(text) == printed


def test_it_is_cut_off():
    assert printable("x" * 50, longest=10) == "x" * 9 + "…"


def test_a_cause_from_another_host_is_one_line_whatever_it_says():
    sent = {
        "host": "a\x1b[2J" * 100, "process": "rank 0\r\n", "code": 3, "secondary": False,
        "reason": "ValueError: \x1b]0;x\x07\nsecond\r\nthird" + "x" * 10_000,
    }  # fmt: skip
    cause = Failure.from_dict(sent)
    assert cause.line.isprintable()
    assert len(cause.line) < 4500
    assert len(cause.where) < 255 * 4 + 64
    assert cause.reason.splitlines()[1:] != []
    # What this host's own processes print is printed so, too.
    assert Failure(host="b", process="rank 1", code=1, reason="\x1b[31mred").line.isprintable()


@pytest.mark.parametrize(
    ("value", "displayed"),
    [
        (None, "none"), ([], "none"), (0.5, "0.5"), (1e-8, "1e-08"), ("cnn", "cnn"),
        (["a", "b"], "a b"), ([["width", "3"]], "width=3"),
        ({"host": "a", "port": None}, "host=a, port=none"),
    ],
)  # fmt: skip
def test_a_value_is_displayed_on_one_line(value, displayed):
    assert display_value(value) == displayed
