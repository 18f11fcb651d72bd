import dataclasses
import json

import keras
import numpy as np
import pytest

from trainer.checkpoint import Checkpoints, Progress
from trainer.errors import UserError
from trainer.optim import FusedAdam


def build(units: int = 3):
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float32")
    x = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(units)(x))
    model = keras.Model(x, keras.layers.BatchNormalization()(hidden))
    optimizer = FusedAdam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def open_in(folder, model, optimizer, keep: int = 3) -> Checkpoints:
    return Checkpoints(folder, model=model, optimizer=optimizer, keep=keep)


def learn(model, optimizer) -> None:
    model(np.ones((2, 4), np.float32), training=True)
    optimizer.apply([v.value * 0 + 1 for v in model.trainable_variables], model.trainable_variables)


def state(model, optimizer) -> list[np.ndarray]:
    return [v.numpy() for v in (*model.variables, *optimizer.variables)]


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_everything_that_a_step_changes_is_restored(tmp_path):
    model, optimizer = build()
    learn(model, optimizer)
    saved = state(model, optimizer)
    progress = Progress(step=7, examples=700, best_step=5, best_accuracy=0.5)
    open_in(tmp_path, model, optimizer).save(progress)
    learn(model, optimizer)
    # Weights, statistics, the dropout generator, the optimizer's slots and its step.
    names_of = [v.path for v in (*model.variables, *optimizer.variables)]
    after = zip(names_of, saved, state(model, optimizer), strict=True)
    same = [name for name, a, b in after if np.array_equal(a, b)]
    assert same == ["fused_adam/learning_rate"]

    fresh = build()
    assert open_in(tmp_path, *fresh).restore() == progress
    for a, b in zip(saved, state(*fresh), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_that_is_known_is_not_read_again(tmp_path):
    checkpoints = open_in(tmp_path, *build())
    checkpoints.save(Progress(step=7))
    assert checkpoints.restore(after=7) is None
    checkpoints.save(Progress(step=9))
    assert checkpoints.restore(after=7) == Progress(step=9)


def test_an_empty_folder_restores_nothing(tmp_path):
    assert open_in(tmp_path / "new", *build()).restore() is None


def test_the_newest_stay_and_the_best_besides(tmp_path):
    checkpoints = open_in(tmp_path, *build(), keep=2)
    for step in (10, 20, 30, 40, 50):
        checkpoints.save(Progress(step=step, best_step=min(step, 20)))
    assert names(tmp_path) == ["ckpt-00000020", "ckpt-00000040", "ckpt-00000050"]


@pytest.mark.parametrize("damage", ["shorten", "remove", "no state"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(tmp_path, damage):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    checkpoints.save(Progress(step=1))
    newest = checkpoints.save(Progress(step=2))
    data = newest / "variables.data-00000-of-00001"
    if damage == "shorten":
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == "remove":
        data.unlink()
    else:
        (newest / "state.json").unlink()
    assert open_in(tmp_path, model, optimizer).restore() == Progress(step=1)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / ".ckpt-00000003.99.part").mkdir()
    (tmp_path / ".ckpt-00000003.99.part" / "variables.index").write_text("")
    assert open_in(tmp_path, *build()).restore() is None
    assert names(tmp_path) == []


def test_another_models_checkpoint_is_refused_and_left_alone(tmp_path):
    open_in(tmp_path, *build(units=3)).save(Progress(step=1))
    with pytest.raises(UserError, match=r"ckpt-00000001 is of another model.*\[4, 3\].*\[4, 5\]"):
        open_in(tmp_path, *build(units=5)).restore()
    assert names(tmp_path) == ["ckpt-00000001"]


def test_another_optimizers_checkpoint_is_refused(tmp_path):
    model, optimizer = build()
    open_in(tmp_path, model, optimizer).save(Progress(step=1))
    sgd = keras.optimizers.SGD(0.1)
    sgd.build(model.trainable_variables)
    with pytest.raises(UserError, match="another model or optimizer: it has fused_adam"):
        open_in(tmp_path, model, sgd).restore()


def test_the_state_is_readable_by_people(tmp_path):
    path = open_in(tmp_path, *build()).save(Progress(step=4, examples=400))
    read = json.loads((path / "state.json").read_text())
    assert read["progress"] == dataclasses.asdict(Progress(step=4, examples=400))
    assert [4, 3] in [shape for name, shape in read["variables"] if name.endswith("/kernel")]
