import io
import json
import threading

from trainer.serving.http.access_log import AccessLog


def test_each_line_is_json_and_none_is_lost_at_the_end():
    stream = io.BytesIO()
    log = AccessLog(stream)
    for i in range(100):
        log.add({"status": i})
    log.close()
    assert [json.loads(line)["status"] for line in stream.getvalue().splitlines()] == [*range(100)]


class Stuck(io.BytesIO):
    """A pipe that nobody reads, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def write(self, data):
        self.reached.set()
        assert self.go.wait(30)
        return super().write(data)


def test_a_reader_that_stops_holds_nothing_up_and_what_was_lost_is_counted():
    stream = Stuck()
    log = AccessLog(stream, most=10)
    log.add({"status": 0})
    assert stream.reached.wait(30)
    for i in range(25):
        log.add({"status": i})
    stream.go.set()
    log.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (len(lines), lines[-1]) == (12, {"lost_lines": 15})


def test_a_reader_that_has_gone_is_no_error():
    stream = io.BytesIO()
    stream.close()
    log = AccessLog(stream)
    log.add({"status": 200})
    log.close()
