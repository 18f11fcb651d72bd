import os
import threading

import numpy as np
import pytest
from machines import about, digits, problems

from trainer.config.errors import UserError
from trainer.data.create import create_dataset
from trainer.runtime.versions import installed_version
from trainer.storage.errors import StorageError


def test_nothing_given_is_a_problem_where_a_platform_was_to_bring_it(machine):
    line = "--train: nothing given, synthetic digits would be used: name data with --train DIR"
    report = machine.look()
    assert report.ok
    assert f"note     {line}" in report.lines()
    assert f"problem  {line}" in problems(machine.look({"CLOUD_ML_JOB_ID": "job"}))


@pytest.mark.parametrize("kind", ["npy", "idx", "tfrecord"])
def test_data_is_counted(machine, kind):
    data = digits(machine.folder / "source", kind="idx" if kind == "idx" else "npy")
    if kind == "tfrecord":
        data = machine.folder / "tfrecord"
        create_dataset(source=str(machine.folder / "source"), out=data, shards=3)
    report = machine.look(train=(str(data),))
    for split, count in (("train", 70), ("test", 30)):
        (finding,) = (f for f in about(report, f"--{split}") if "kind" in f.facts)
        facts = finding.facts
        assert (facts["kind"], facts["examples"], facts["exact"]) == (kind, count, True)
        assert facts["files"] == len(facts["paths"]) == (3 if kind == "tfrecord" else 2)
        assert facts["bytes"] == sum(os.stat(p).st_size for p in facts["paths"])  # noqa: PTH116
        assert f"{count} examples" in finding.text


@pytest.mark.parametrize("kind", ["npy", "idx", "tfrecord"])
def test_much_data_is_counted_by_its_headers(machine, kind):
    machine.answers |= {"whole_bytes": 1000, "sample_bytes": 5000}
    data = digits(machine.folder / "source", kind="idx" if kind == "idx" else "npy")
    if kind == "tfrecord":
        data = machine.folder / "tfrecord"
        create_dataset(source=str(machine.folder / "source"), out=data, shards=3)
    report = machine.look(train=(str(data),))
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    assert finding.facts["examples"] == 70
    assert ("about" in finding.text) == (kind == "tfrecord")


def test_gzipped_idx_is_counted(machine, mnist_dir):
    machine.answers["whole_bytes"] = 1000
    report = machine.look(train=(str(mnist_dir),))
    counts = [f.facts["examples"] for f in report.findings if "examples" in f.facts]
    assert counts == [60_000, 10_000]


def test_missing_damaged_and_mixed_data_are_problems_and_the_rest_is_there(machine):
    data = digits(machine.folder / "data", kind="idx")
    with (data / "train-images-idx3-ubyte").open("ab") as file:
        file.write(b"x")
    for paths, expected in (
        ((str(machine.folder / "none"),), "does not exist; give files"),
        ((str(data),), "the body has 54881 bytes"),
    ):
        report = machine.look(train=paths)
        (line,) = problems(report)
        assert expected in line
        assert about(report, "memory")[0].level == "ok"


def test_test_data_that_is_training_data_is_noted(machine):
    data = digits(machine.folder / "data")
    files = (str(data / "x_train.npy"), str(data / "y_train.npy"))
    report = machine.look(train=files, test=files)
    (note,) = (f for f in report.findings if f.level == "note" and f.about == "--test")
    assert "part of the training data" in note.text


def test_one_file_of_several_splits_is_no_test_data_that_is_trained_on(machine):
    pixels, labels = np.zeros((9, 28, 28), np.uint8), np.arange(9)
    file = machine.folder / "mnist.npz"
    np.savez(file, x_train=pixels, y_train=labels, x_test=pixels[:4], y_test=labels[:4])
    report = machine.look(train=(str(file),))
    assert "npz, 1 file, 9 examples" in about(report, f"--train {file}")[0].text
    assert "npz, 1 file, 4 examples" in about(report, f"--test {file}")[0].text
    assert not [f for f in report.findings if f.about == "--test"]


def test_test_data_alone_is_a_problem_and_no_test_data_only_with_a_target(machine):
    data = digits(machine.folder / "data")
    (line,) = problems(machine.look(test=(str(data),)))
    assert "--train: not given, but --test is: name both" in line
    (data / "x_test.npy").unlink()
    (data / "y_test.npy").unlink()
    report = machine.look(train=(str(data),))
    assert not problems(report)
    assert "nothing is evaluated" in about(report, "--test")[0].text
    (line,) = problems(machine.look(train=(str(data),), target_accuracy=0.9))
    assert "--target-accuracy 0.9: needs an accuracy" in line


def test_object_stores_are_reported_as_addresses(machine):
    flags = {"train": ("s3://bucket/train",), "model_dir": "gs://bucket/model"}
    report = machine.look(**flags)
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    held = {"files": 2, "bytes": 1234}
    assert finding.facts == {"kind": "address", "paths": ["s3://bucket/train"], **held}
    assert finding.text == "in an object store, 2 objects, 1.23 kB"
    assert "--model-dir gs://bucket/model: in an object store" in "\n".join(report.lines())
    missing = [p for p in ("s3fs", "gcsfs") if installed_version(p) is None]
    assert [f"problem  {p}: is not installed" in line for p, line in zip(
        missing, problems(report), strict=True)] == [True] * len(missing)  # fmt: skip


def test_a_bucket_that_is_not_there_is_a_problem_and_one_that_does_not_answer_a_note(machine):
    def refuse(url, flag, among=None):
        raise UserError(subject=f"{flag} {url}", problem="there is no such bucket")

    def fail(url, flag, among=None):
        problem = "failed 4 times, at last with 503"
        raise StorageError(f"{flag} {url}: {problem}", problem=problem)

    flags = {"train": ("s3://b/x",), "model_dir": "s3://b/m"}
    machine.answers |= {"list_store": refuse, "check_store": refuse}
    texts = [line.split(": ", 1)[1] for line in problems(machine.look(**flags)) if "s3://" in line]
    assert all(text.startswith("there is no such bucket") for text in texts)
    assert len(texts) == 2
    machine.answers |= {"list_store": fail, "check_store": fail}
    report = machine.look(**flags)
    assert not [line for line in problems(report) if "s3://" in line]
    (finding,) = (f for f in about(report, "--model-dir") if "kind" in f.facts)
    assert finding.level == "note"
    assert finding.text.endswith("could not be looked at: failed 4 times, at last with 503")


def test_data_of_a_module_of_ones_own_is_listed_not_read(machine):
    (machine.folder / "own").mkdir()
    (machine.folder / "own" / "a.bin").write_bytes(b"123")
    report = machine.look(train=(str(machine.folder / "own"),), module="my.model")
    (finding,) = (f for f in about(report, "--train") if "kind" in f.facts)
    assert (finding.facts["files"], finding.facts["bytes"]) == (1, 3)
    assert report.ok


def test_a_store_that_hangs_is_a_problem_in_time(machine):
    over = threading.Event()
    machine.answers |= {"list_store": lambda *_: over.wait() and {}, "data_seconds": 0.2}
    report = machine.look(train=("s3://bucket/x",))
    over.set()
    assert "problem  data: no answer within 0.2 seconds" in problems(report)[0]
    assert about(report, "clock")
