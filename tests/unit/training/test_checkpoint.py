import dataclasses
import json
import os
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.config.errors import UserError
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_state import DamagedError, Progress, read
from trainer.training.optimizers import FusedAdam

pytestmark = pytest.mark.tensorflow


def build(units: int = 3):
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float32")
    x = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(units)(x))
    model = keras.Model(x, keras.layers.BatchNormalization()(hidden))
    optimizer = FusedAdam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def open_in(folder, model, optimizer, keep: int = 3, **more) -> Checkpoints:
    return Checkpoints(folder, model=model, optimizer=optimizer, keep=keep, **more)


def learn(model, optimizer) -> None:
    model(np.ones((2, 4), np.float32), training=True)
    optimizer.apply([v.value * 0 + 1 for v in model.trainable_variables], model.trainable_variables)


def state(model, optimizer) -> list[np.ndarray]:
    return [v.numpy() for v in (*model.variables, *optimizer.variables)]


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("name", ["checkpoints", "run[1]", "a\\b", "lr*?"])
def test_everything_that_a_step_changes_is_restored(tmp_path, name):
    tmp_path = tmp_path / name
    model, optimizer = build()
    learn(model, optimizer)
    saved = state(model, optimizer)
    progress = Progress(step=7, examples=700, best_step=5, best_value=0.5)
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


def test_checkpoints_are_written_kept_and_restored_where_folders_are_not_renamed(
    tmp_path, monkeypatch
):
    rename = os.rename

    def refuse(source, target, **more):
        if Path(source).is_dir():
            raise OSError(24, "Too many open files")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", refuse)
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer, keep=1)
    for step in (1, 2):
        learn(model, optimizer)
        checkpoints.save(Progress(step=step))
    assert names(tmp_path) == ["ckpt-00000002"]
    saved = state(model, optimizer)
    fresh = build()
    assert open_in(tmp_path, *fresh).restore() == Progress(step=2)
    np.testing.assert_array_equal(saved[0], state(*fresh)[0])


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


def flip(file) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


DAMAGES = {
    "shortened": lambda data: data.write_bytes(data.read_bytes()[:-1]),
    "flipped": flip,
    "removed": lambda data: data.unlink(),
    "a folder": lambda data: (data.unlink(), data.mkdir()),
    "no state": lambda data: (data.parent / "state.json").unlink(),
    "flipped state": lambda data: flip(data.parent / "state.json"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning_and_then_replaced(
    tmp_path, damage, capsys
):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    checkpoints.save(Progress(step=1))
    newest = checkpoints.save(Progress(step=2))
    damage(newest / "variables.data-00000-of-00001")
    again = open_in(tmp_path, model, optimizer, keep=1)
    assert again.restore() == Progress(step=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"warning: --checkpoint-dir {tmp_path}: passed over ckpt-00000002: ")
    again.save(Progress(step=2))
    assert names(tmp_path) == ["ckpt-00000002"]
    assert open_in(tmp_path, model, optimizer).restore() == Progress(step=2)


def test_a_state_that_is_nested_too_deep_to_be_checked_is_damaged(tmp_path):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    checkpoints.save(Progress(step=1))
    newest = checkpoints.save(Progress(step=2))
    # Somewhere in between Python reads what it cannot write.
    for depth in range(900, 1000):
        (newest / "state.json").write_text('{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(DamagedError):
            read(newest)


def test_a_damaged_checkpoint_is_not_kept_in_place_of_a_whole_one(tmp_path):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    for step in (10, 20, 30):
        newest = checkpoints.save(Progress(step=step))
    flip(newest / "state.json")
    again = open_in(tmp_path, model, optimizer, keep=2)
    assert again.restore() == Progress(step=20)
    again.save(Progress(step=25))
    assert names(tmp_path) == ["ckpt-00000020", "ckpt-00000025", "ckpt-00000030"]
    again.save(Progress(step=35))
    assert names(tmp_path) == ["ckpt-00000025", "ckpt-00000035"]


def test_checkpoints_that_are_all_damaged_are_one_error_that_says_what_to_do(tmp_path):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    for step in (1, 2):
        flip(checkpoints.save(Progress(step=step)) / "variables.index")
    message = (
        rf"^--checkpoint-dir {tmp_path}: all 2 checkpoints are damaged \(ckpt-00000002: "
        r"variables.index: its checksum differs\); remove them to begin anew, or name another "
        "folder$"
    )
    with pytest.raises(UserError, match=message):
        open_in(tmp_path, model, optimizer).restore()
    # Whoever only reads them waits for others.
    assert open_in(tmp_path, model, optimizer, alone=False).restore() is None


def test_a_first_checkpoint_that_was_never_finished_does_not_block_a_restart(tmp_path):
    (tmp_path / "ckpt-00000005").mkdir()
    (tmp_path / "ckpt-00000005/variables.index").write_bytes(b"part")
    checkpoints = open_in(tmp_path, *build())
    assert checkpoints.restore() is None
    checkpoints.save(Progress(step=5))
    assert checkpoints.restore() == Progress(step=5)


def test_who_only_reads_is_warned_of_a_damaged_checkpoint_once_and_reads_its_successor(
    tmp_path, capsys
):
    model, optimizer = build()
    chief = open_in(tmp_path, model, optimizer)
    damaged = chief.save(Progress(step=2))
    flip(damaged / "state.json")
    reader = open_in(tmp_path, model, optimizer, alone=False)
    assert [reader.restore() for _ in range(3)] == [None] * 3
    assert len(capsys.readouterr().out.splitlines()) == 1
    open_in(tmp_path, model, optimizer).save(Progress(step=2, examples=7))
    assert reader.restore() == Progress(step=2, examples=7)


def test_what_else_lies_in_the_folder_is_let_alone(tmp_path):
    model, optimizer = build()
    real, folder = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    folder.symlink_to(real)
    for name in ("ckpt-abc", "ckpt-7", "ckpt-²", "notes", "ckpt-00000009.bak"):
        (real / name).write_text("mine")
    (real / "ckpt-00000004").write_text("a file")
    (real / "ckpt-00000005").symlink_to(tmp_path / "gone")
    elsewhere = open_in(tmp_path / "elsewhere", model, optimizer)
    (real / "ckpt-00000003").symlink_to(elsewhere.save(Progress(step=3)))
    checkpoints = open_in(folder, model, optimizer, keep=1)
    assert checkpoints.restore() == Progress(step=3)
    for step in (4, 5):
        checkpoints.save(Progress(step=step))
    assert open_in(folder, model, optimizer).restore() == Progress(step=5)
    kept = ["ckpt-00000005", "ckpt-00000009.bak", "ckpt-7", "ckpt-abc", "ckpt-²", "notes"]
    assert names(real) == sorted(kept)
    assert names(tmp_path / "elsewhere") == ["ckpt-00000003"]


def as_earlier(checkpoint) -> None:
    """Make a checkpoint one of an earlier version, without checksums."""
    state = json.loads((checkpoint / "state.json").read_text())
    kept = {name: state[name] for name in ("progress", "files", "variables")}
    (checkpoint / "state.json").write_text(json.dumps(kept, indent=1))


def test_checkpoints_of_earlier_versions_are_read_and_their_damage_is_found(tmp_path):
    model, optimizer = build()
    checkpoints = open_in(tmp_path, model, optimizer)
    for step in (1, 2, 3, 4):
        as_earlier(checkpoints.save(Progress(step=step, examples=step)))
    assert open_in(tmp_path, model, optimizer).restore() == Progress(step=4, examples=4)
    flip(tmp_path / "ckpt-00000004/variables.data-00000-of-00001")
    state = tmp_path / "ckpt-00000003/state.json"
    state.write_text(state.read_text().replace("kernel", "kernal"))
    assert open_in(tmp_path, model, optimizer).restore() == Progress(step=2, examples=2)


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


WRONG = [None, True, -1, 10**30, 0.5, "", "x" * 40, [], {}, [[]], {"a": {}}, float("nan")]


def mutate(value, choose: random.Random):
    """Put something else at a random place of a JSON value."""
    if isinstance(value, (dict, list)) and value and choose.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = choose.choice(keys)
        if choose.random() < 0.2:
            del value[key]
        else:
            value[key] = mutate(value[key], choose)
        return value
    return choose.choice(WRONG)


def damage_at_random(checkpoint, choose: random.Random) -> str:
    """Damage one file of a checkpoint so that it is not what was written; return how."""
    file = choose.choice(sorted(checkpoint.iterdir()))
    before = data = file.read_bytes()
    how = choose.choice(["flip", "flips", "cut", "grow", "zero", "swap", "remove", "json", "json"])
    if how == "remove":
        file.unlink()
        return f"{how} {file.name}"
    while data == before:
        raw, at = bytearray(before), choose.randrange(len(before))
        if how in ("flip", "flips"):
            for _ in range(1 if how == "flip" else 20):
                raw[choose.randrange(len(raw))] ^= 1 << choose.randrange(8)
        elif how == "cut":
            del raw[at:]
        elif how == "grow":
            raw += choose.randbytes(at + 1)
        elif how == "zero":
            raw[at:] = bytes(len(raw) - at)
        elif how == "swap":
            raw = raw[at:] + raw[:at]
        else:
            file = checkpoint / "state.json"
            before = file.read_bytes()
            raw = bytearray(json.dumps(mutate(json.loads(before), choose)).encode())
            if json.loads(raw) == json.loads(before):
                continue
        data = bytes(raw)
    file.write_bytes(data)
    return f"{how} {file.name}"


@pytest.mark.parametrize("earlier", [False, True], ids=["with checksums", "of earlier versions"])
def test_none_of_300_random_damages_blocks_a_restart(tmp_path, earlier, capsys):
    model, optimizer = build()
    first = model.trainable_variables[0]
    whole = open_in(tmp_path / "whole", model, optimizer)
    for step in (10, 20, 30):
        first.assign(np.full(first.shape, step, np.float32))
        path = whole.save(Progress(step=step, examples=step))
        if earlier:
            as_earlier(path)
    choose = random.Random(7)
    for number in range(300 if not earlier else 100):
        folder = tmp_path / "run"
        shutil.copytree(tmp_path / "whole", folder)
        hit = choose.choice([[30], [30], [30, 20]])
        done = [damage_at_random(folder / f"ckpt-{step:08d}", choose) for step in hit]
        first.assign(np.full(first.shape, -1, np.float32))
        checkpoints = open_in(folder, model, optimizer)
        progress = checkpoints.restore()
        warned = capsys.readouterr().out.splitlines()
        where = f"{number}: {done}: {warned}"
        assert progress is not None, where
        if not earlier:
            assert progress == Progress(step=min(hit) - 10, examples=min(hit) - 10), where
            assert len(warned) == len(hit), where
        assert np.all(first.numpy() == progress.step), where
        if number % 10 == 0:
            checkpoints.save(Progress(step=30, examples=30))
            saved = open_in(folder, model, optimizer).restore()
            # Without a checksum a number in state.json may be another one.
            assert (saved.step, saved.examples) == (30, 30), where
            assert earlier or saved == Progress(step=30, examples=30), where
        shutil.rmtree(folder)
