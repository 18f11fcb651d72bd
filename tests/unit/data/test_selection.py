from pathlib import Path

import pytest

from trainer.config import Job, UserError
from trainer.data import selection

SPLITS = ("train", "validation", "test")


def folder(place: Path, *names: str) -> str:
    place.mkdir()
    for name in names:
        (place / f"{name}.tfrecords").write_bytes(b"x")
    return str(place)


def chosen(job: Job, *, own_reader: bool = False) -> list[tuple[str, ...] | None]:
    return [selection.paths_of(job, split, own_reader=own_reader) for split in SPLITS]


def test_without_any_data_the_digits_are_synthetic_and_there_is_no_validation():
    assert chosen(Job()) == [(), None, ()]


@pytest.mark.parametrize(
    ("held", "validation", "test"),
    [
        (("train",), False, False),
        (("train", "test"), False, True),
        (("train", "eval"), False, True),
        (("train", "validation"), False, True),
        (("train", "validation", "test"), True, True),
        (("train", "validation", "eval"), True, True),
    ],
)
def test_a_folder_of_several_splits_is_used_for_those_it_holds(tmp_path, held, validation, test):
    path = (folder(tmp_path / "d", *held),)
    expected = [path, path if validation else None, path if test else None]
    assert chosen(Job(train=path)) == expected


def test_validation_data_that_is_named_leaves_that_of_the_folder_alone(tmp_path):
    path = (folder(tmp_path / "d", "train", "validation"),)
    assert chosen(Job(train=path, validation=("v",))) == [path, ("v",), None]


def test_validation_data_beside_training_data_is_used_where_test_data_is_named(tmp_path):
    path = (folder(tmp_path / "d", "train", "validation"),)
    assert chosen(Job(train=path, test=("t",))) == [path, path, ("t",)]


def test_a_module_that_reads_its_own_data_gets_what_is_named(tmp_path):
    path = (folder(tmp_path / "d", "train", "validation", "test"),)
    assert chosen(Job(train=path), own_reader=True) == [path, None, path]
    assert chosen(Job(train=path, validation=("v",)), own_reader=True) == [path, ("v",), path]


def test_validation_data_that_is_tested_on_is_named_in_the_log(tmp_path):
    path = (folder(tmp_path / "d", "train", "validation"),)
    assert selection.notes(Job(train=path)) == [
        "tested on the validation data among --train, as there is no test data"
    ]


@pytest.mark.parametrize("evaluated", [True, False])
def test_a_target_needs_data_to_evaluate_on(evaluated):
    job = Job(target_accuracy=0.5)
    if evaluated:
        selection.check_evaluated(job, evaluated=True)
        return
    with pytest.raises(UserError, match="name some with --test or --validation"):
        selection.check_evaluated(job, evaluated=False)


def test_a_share_of_the_training_data_is_validation_data(tmp_path):
    path = (folder(tmp_path / "d", "train", "test"),)
    assert chosen(Job(train=path, validation_split=0.1)) == [path, path, path]
    assert chosen(Job(validation_split=0.1)) == [(), (), ()]
    assert selection.notes(Job(train=path, validation_split=0.1)) == []


def test_validation_data_is_named_or_held_out_but_not_both(tmp_path):
    with pytest.raises(UserError, match=r"--validation-split 0\.1 and --validation v: give one"):
        Job(validation=("v",), validation_split=0.1)
    path = (folder(tmp_path / "d", "train", "validation", "test"),)
    with pytest.raises(UserError, match="holds validation data already"):
        chosen(Job(train=path, validation_split=0.1))


def test_nothing_is_held_out_of_data_that_a_module_reads_itself():
    with pytest.raises(UserError, match="the module's own input_fn reads the training data"):
        chosen(Job(train=("x",), validation_split=0.1), own_reader=True)
