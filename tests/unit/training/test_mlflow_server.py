"""The file that keeps the id of a run on a tracking server."""

import pytest

from trainer.training.mlflow_server import KnownRun, digest_of, read_known


def test_a_file_is_read_as_it_was_written():
    known = KnownRun(run_id="r", uri="http://host", metrics=digest_of(b"{}"))
    assert read_known(known.as_text().encode()) == known
    assert read_known(b'{"run_id": "r"}') == KnownRun(run_id="r")


@pytest.mark.parametrize("data", [None, b"", b'{"run_', b"\xff", b"[]", b"3", b'{"uri": "u"}'])
def test_a_damaged_file_names_no_run(data):
    assert read_known(data) is None
