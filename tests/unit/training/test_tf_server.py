import socket

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import RetryableError
from trainer.config.job import Job
from trainer.runtime.stop import StopRequest
from trainer.training import tf_server

pytestmark = pytest.mark.tensorflow


def test_an_address_that_is_taken_is_named_and_worth_another_try():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as taken:
        port = taken.getsockname()[1]
        cluster = Cluster(
            chief=("127.0.0.1:1",), worker=("127.0.0.1:2",), ps=(f"127.0.0.1:{port}",), role="ps"
        )
        with pytest.raises(RetryableError, match=rf"^ps 0: cannot serve 127\.0\.0\.1:{port}: "):
            tf_server.serve(Job(cluster=cluster), StopRequest())
