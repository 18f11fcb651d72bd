"""One checkpoint of a folder: by step, the best or the newest; without TensorFlow."""

import dataclasses

import pytest

from trainer.config.errors import UserError
from trainer.training import checkpoint_state
from trainer.training.checkpoint_state import Progress
from trainer.training.chosen_checkpoint import chosen_checkpoint


@pytest.fixture
def folder(tmp_path):
    for step in (20, 40, 60):
        path = tmp_path / "ckpt" / f"ckpt-{step:08d}"
        path.mkdir(parents=True)
        (path / "variables.index").write_bytes(b"x" * step)
        progress = Progress(step=step, examples=step, best_step=min(step, 40), best_value=0.5)
        checkpoint_state.write(path, progress, [["kernel", [2]]])
    return tmp_path / "ckpt"


@pytest.mark.parametrize(
    ("asked", "step"),
    [("", 60), ("/", 60), ("/40", 40), ("/ckpt-00000020", 20), ("/best", 40), ("/best/", 40)],
)
def test_the_newest_is_chosen_unless_another_is_named(folder, asked, step):
    with chosen_checkpoint(f"{folder}{asked}") as chosen:
        assert chosen.state.progress.step == step
        assert chosen.path == folder / f"ckpt-{step:08d}"
        assert list(chosen.steps) == [20, 40, 60]


def test_a_folder_of_checkpoints_may_have_a_number_for_its_name(folder):
    moved = folder.rename(folder.parent / "7")
    with chosen_checkpoint(str(moved)) as chosen:
        assert chosen.state.progress.step == 60


def mistake(asked) -> str:
    with pytest.raises(UserError) as caught, chosen_checkpoint(str(asked)):
        pass
    return str(caught.value)


def test_a_step_that_is_not_there_is_a_line_with_those_that_are(folder):
    line = f"--checkpoint {folder}/41: there is no ckpt-00000041; the steps there are 20, 40, 60"
    assert mistake(folder / "41") == line


def test_a_damaged_checkpoint_is_a_line_with_the_steps_that_are_there(folder):
    (folder / "ckpt-00000060/variables.index").write_bytes(b"y" * 60)
    assert mistake(folder) == (
        f"--checkpoint {folder}: ckpt-00000060 is damaged (variables.index: its checksum differs); "
        "the steps there are 20, 40, 60"
    )


@pytest.mark.parametrize("name", ["nowhere", "nowhere/20", "best"])
def test_a_folder_without_checkpoints_is_a_line(tmp_path, name):
    line = f"--checkpoint {tmp_path / name}: no checkpoint is there; "
    assert mistake(tmp_path / name).startswith(line)


def test_the_best_of_a_run_that_never_evaluated_is_a_line(folder):
    for step in (20, 40, 60):
        path = folder / f"ckpt-{step:08d}"
        state = checkpoint_state.read(path)
        checkpoint_state.write(
            path, dataclasses.replace(state.progress, best_step=-1), state.variables
        )
    assert "no test accuracy is known of any; the steps there are" in mistake(folder / "best")
