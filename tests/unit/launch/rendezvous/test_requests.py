import pytest

from trainer.launch.rendezvous.fields import text, whole
from trainer.launch.rendezvous.requests import Join, Sender

JOIN = {"host": "algo-2", "task": "worker 0", "processes": 2, "settings": {}}
JOIN |= {"metadata": {"key": "x"}}


def test_a_request_to_join_is_read():
    found = Join.from_dict(JOIN)
    assert (found.host, found.task, found.processes) == ("algo-2", "worker 0", 2)
    assert found.metadata == JOIN["metadata"]
    assert Join.from_dict({**JOIN, "host": "a\x1b[2J"}).host == r"a\x1b[2J"
    assert Join.from_dict({k: v for k, v in JOIN.items() if k != "metadata"}).metadata == {}


@pytest.mark.parametrize(
    "wrong",
    [
        *({"host": "x" * 256}, {"host": None}, {"task": "x" * 65}, {"task": 1}),
        *(
            {"processes": 0},
            {"processes": 1025},
            {"processes": "1"},
            {"processes": True},
            {"processes": 1.0},
        ),
        *({"settings": []}, {"settings": None}, {"settings": {"values": {"a": 1}}}),
        *(
            {"settings": {"host": 1}},
            {"settings": {"values": {"a": {"text": "x"}}}},
            {"metadata": []},
        ),
    ],
)
def test_one_with_anything_else_in_it_is_not(wrong):
    with pytest.raises((KeyError, ValueError)):
        Join.from_dict({**JOIN, **wrong})


@pytest.mark.parametrize("name", ["host", "task", "processes", "settings"])
def test_nor_is_one_without_a_field(name):
    with pytest.raises(KeyError):
        Join.from_dict({k: v for k, v in JOIN.items() if k != name})


def test_who_asks_is_a_member_and_a_run():
    assert Sender.from_dict({"member": "worker-12", "run": "1"}) == Sender("worker-12", "1")
    for fields in (
        *([], None, "x", {"member": "worker-0"}, {"run": "1"}, {"member": 1, "run": "1"}),
        *({"member": m, "run": "1"} for m in ("boss-0", "worker-", "worker-1\n", "worker-\u0661")),
        *({"member": "worker-0", "run": run} for run in ("x" * 65, None, 1)),
    ):
        with pytest.raises((KeyError, ValueError)):
            Sender.from_dict(fields)


def test_numbers_and_texts_have_bounds():
    assert whole(3, low=3, high=3) == 3
    assert text("x" * 5, longest=5) == "x" * 5
    for value in (2, 4, 3.0, "3", None, True, float("inf")):
        with pytest.raises(ValueError, match="from 3 to 3"):
            whole(value, low=3, high=3)
    for value in ("x" * 6, b"x", None):
        with pytest.raises(ValueError, match="short string"):
            text(value, longest=5)
