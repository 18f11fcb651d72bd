import json

import pytest

from trainer.launch.rendezvous.failure import Failure, is_secondary


def test_it_is_one_line_and_survives_json():
    cause = Failure(host="algo-2", process="rank 3", code=1, reason="ValueError: x\nat a.py line 7")
    assert cause.line == "host algo-2, rank 3: ValueError: x; at a.py line 7"
    assert Failure.from_dict(json.loads(json.dumps(cause.to_dict()))) == cause


@pytest.mark.parametrize("broken", [{}, {"host": "a"}, {"host": "a", "code": "x"}])
def test_what_is_no_failure_is_refused(broken):
    with pytest.raises((KeyError, ValueError)):
        Failure.from_dict(broken)


@pytest.mark.parametrize(
    ("reason", "secondary"),
    [
        # As Horovod 0.28.1 and TensorFlow 2.21 say it.
        ("what():  [gloo/transport/tcp/pair.cc:598] Connection closed by peer [10.0.0.2]", True),
        ("HorovodInternalError: Horovod has been shut down. This was caused by an exception", True),
        ("UnavailableError: failed to connect to all addresses; last error: UNKNOWN", True),
        ("Collective ops is aborted by: worker 1 is down", True),
        ("ValueError: bad label 11", False),
        ("rank 1 ended by signal 9, exit code 137", False),
        ("No space left on device", False),
    ],
)
def test_a_broken_connection_is_the_consequence_of_another_failure(reason, secondary):
    assert is_secondary(reason) == secondary
