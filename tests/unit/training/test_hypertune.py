import json
import threading
import time

from trainer.config.trial import DEFAULT_FILE, DEFAULT_TAG, Trial
from trainer.training.hypertune import MetricFile


def trial(tmp_path, **changes):
    return Trial(**{"number": "3", "file": str(tmp_path / "hypertune/output.metrics"), **changes})


def lines(trial):
    with open(trial.file) as file:  # noqa: PTH123
        return file.read().splitlines()


def test_a_line_is_as_cloudml_hypertune_writes_it(tmp_path):
    own_trial = trial(tmp_path, tag="accuracy")
    before = time.time()
    MetricFile(own_trial).report(12, 0.98)
    (line,) = lines(own_trial)
    entry = json.loads(line)
    stamp = entry["timestamp"]
    assert before <= stamp <= time.time()
    assert line == (
        '{"accuracy": "0.98", "checkpoint_path": "", "global_step": "12", '
        f'"timestamp": {json.dumps(stamp)}, "trial": "3"}}'
    )


def test_a_whole_number_is_written_as_a_float(tmp_path):
    own_trial = trial(tmp_path)
    MetricFile(own_trial).report(1, 1)
    assert json.loads(lines(own_trial)[0])[DEFAULT_TAG] == "1.0"


def test_the_last_hundred_reports_are_kept(tmp_path):
    own_trial = trial(tmp_path)
    metrics = MetricFile(own_trial)
    for step in range(1, 131):
        metrics.report(step, step / 1000)
    steps = [json.loads(line)["global_step"] for line in lines(own_trial)]
    assert steps == [str(step) for step in range(31, 131)]


def test_a_reader_never_finds_half_a_file_and_nothing_is_left_beside_it(tmp_path):
    own_trial = trial(tmp_path)
    metrics = MetricFile(own_trial)
    metrics.report(0, 0.5)
    broken = []
    done = threading.Event()

    def read():
        while not done.is_set():
            with open(own_trial.file) as file:  # noqa: PTH123
                text = file.read()
            if not text.endswith("}\n"):
                broken.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(50):
        metrics.report(step, 0.5)
    done.set()
    reader.join()
    assert not broken
    assert [file.name for file in (tmp_path / "hypertune").iterdir()] == ["output.metrics"]


def test_the_defaults_are_those_of_the_package():
    assert (DEFAULT_FILE, DEFAULT_TAG) == (
        "/tmp/hypertune/output.metrics",
        "training/hptuning/metric",
    )
