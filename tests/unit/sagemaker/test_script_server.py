"""A parameter server beside a user's script that cannot begin."""

import json
import socket

import pytest

from trainer.config import RETRY_CODE
from trainer.sagemaker import script_server

pytestmark = pytest.mark.tensorflow


def test_an_address_that_is_taken_may_be_free_at_a_new_try(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(script_server, "end_with_parent", lambda: asked.append(True))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = {"cluster": {"ps": [address]}, "task": {"type": "ps", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert script_server.main() == RETRY_CODE
    assert asked == [True]
    assert f"parameter server: cannot serve {address}: " in capsys.readouterr().err
