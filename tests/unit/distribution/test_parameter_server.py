"""How the chief meets workers and servers, and sees that one is gone; all of it in integration."""

import inspect
import logging
import socket
import threading
import time

import pytest
import tensorflow as tf
from tensorflow.python.distribute.coordinator import cluster_coordinator

from trainer.config.errors import RetryableError
from trainer.distribution.parameter_server_tf import (
    is_news,
    raising_retryable_error,
    wait_until_reachable,
)

pytestmark = pytest.mark.tensorflow


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as once:
        return once.getsockname()[1]


def test_one_that_does_not_answer_is_named_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = closed_port()
        addresses = {"ps 0": f"127.0.0.1:{there.getsockname()[1]}", "worker 3": f"localhost:{port}"}
        began = time.monotonic()
        with pytest.raises(
            RetryableError, match=rf"^worker 3 does not answer at localhost:{port} "
        ):
            wait_until_reachable(addresses, within=0.3)
        assert 0.3 <= time.monotonic() - began < 5


def test_one_that_comes_late_is_waited_for():
    port, refused, ended = closed_port(), threading.Event(), threading.Event()

    def wait() -> None:
        refused.set()
        wait_until_reachable({"worker 0": f"127.0.0.1:{port}"}, within=60)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert refused.wait(5)
    assert not ended.wait(0.3)
    with socket.create_server(("127.0.0.1", port)):
        assert ended.wait(10)


@pytest.mark.parametrize("error", [tf.errors.UnavailableError, tf.errors.AbortedError])
def test_an_error_of_a_lost_server_is_worth_another_try_and_one_line(error):
    with (
        pytest.raises(RetryableError, match=r"^a parameter server is gone: Socket closed$"),
        raising_retryable_error(),
    ):
        raise error(None, None, "Socket closed\nAdditional GRPC error information")
    with pytest.raises(tf.errors.InvalidArgumentError), raising_retryable_error():
        raise tf.errors.InvalidArgumentError(None, None, "corrupted record")


def test_an_error_that_a_step_raises_is_not_logged_by_tensorflow_too():
    logged = [
        "processing closure: %r:%s",
        "Start cancelling closures due to error %r: %s",
    ]
    source = inspect.getsource(cluster_coordinator)
    for text in logged:
        assert text in source
        assert not is_news(logging.makeLogRecord({"msg": text}))
    assert is_news(logging.makeLogRecord({"msg": "Cluster update failed with error: %s."}))
