import dataclasses
import json
from types import SimpleNamespace

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.training import trained_with
from trainer.training.trained_with import History

DESCRIBED = {"kind": "npy", "examples": 10}


def stretch(tmp_path, content: bytes = b"1", hp=(), steps: int = 40, names=(), **fields):
    (tmp_path / "train_images.npy").write_bytes(content)
    (tmp_path / "train_labels.npy").write_bytes(b"l")
    hparams = Hparams(hp=hp, **fields.pop("hparams", {}))
    train = SimpleNamespace(description=DESCRIBED)
    data = SimpleNamespace(train=train, steps=steps, all_class_names=names)
    job = Job(train=(str(tmp_path),), checkpoint_dir="ckpt", hparams=hparams, **fields)
    return trained_with.of(job, data)


def test_the_same_settings_and_data_do_not_differ(tmp_path):
    first = stretch(tmp_path)
    # As a checkpoint has them.
    kept = trained_with.read(json.loads(json.dumps([dataclasses.asdict(first)])))
    assert kept == (first,)
    assert trained_with.differences(kept[0], stretch(tmp_path)) == []


def test_a_difference_names_the_value_then_and_now(tmp_path):
    first = stretch(tmp_path, hp=(("width", "8"),), hparams={"seed": 1, "learning_rate": 0.02})
    now = stretch(tmp_path, b"2", hp=(("width", "9"),), module="own", hparams={"seed": 2})
    found = trained_with.differences(first, now)
    assert found[:4] == [
        "--module trainer.model (now own)",
        "--hp width=8 (now width=9)",
        "--learning-rate 0.02 (now None)",
        "--seed 1 (now 2)",
    ]
    assert found[4].startswith("other training data: npy, 10 examples, ")


def test_other_classes_are_a_difference(tmp_path):
    first, now = stretch(tmp_path, names=["cat", "dog"]), stretch(tmp_path, names=["cat", "fox"])
    kept = trained_with.read(json.loads(json.dumps([dataclasses.asdict(first)])))
    assert trained_with.differences(kept[-1], first) == []
    [difference] = trained_with.differences(kept[-1], now)
    assert difference == "the classes cat, dog (now cat, fox)"


def test_the_form_of_the_data_is_kept_and_other_versions_have_none(tmp_path):
    form = {"input_shape": (32, 32, 3), "classes": 26}
    kept = trained_with.read(
        json.loads(json.dumps([dataclasses.asdict(stretch(tmp_path, hparams=form))]))
    )
    hparams = trained_with.hparams_of(kept[-1].hparams, {})
    assert (hparams.input_shape, hparams.classes) == ((32, 32, 3), 26)
    before = {k: v for k, v in kept[-1].hparams.items() if k not in form}
    assert trained_with.form_of(before) == {"input_shape": None, "classes": None}


def test_other_contents_of_the_same_size_are_a_difference(tmp_path):
    found = trained_with.differences(stretch(tmp_path, b"1"), stretch(tmp_path, b"2"))
    assert len(found) == 1
    assert found[0].endswith(" bytes (now others of the same size)")


def test_shares_of_hosts_are_not_compared_by_their_files(tmp_path):
    shares = [stretch(tmp_path, content, shard_by="host") for content in (b"1", b"2")]
    assert trained_with.differences(*shares) == []


def test_another_number_of_steps_counts_where_the_schedule_depends_on_it(tmp_path):
    def found(**hparams) -> list[str]:
        before, now = (stretch(tmp_path, steps=n, hparams=hparams) for n in (40, 60))
        return trained_with.differences(before, now)

    assert found(schedule="one-cycle") == ["a one-cycle schedule over 40 steps (now 60)"]
    assert found(schedule="constant", warmup=0.1) == ["a constant schedule over 40 steps (now 60)"]
    assert found(schedule="constant", warmup=0.0) == []


def test_a_history_without_the_number_of_steps_does_not_differ_by_it(tmp_path):
    now = stretch(tmp_path, hparams={"schedule": "cosine"})
    written = dataclasses.asdict(now)
    del written["total"]
    (before,) = trained_with.read([written])
    assert trained_with.differences(before, now) == []


def test_secrets_among_hyperparameters_are_not_kept(tmp_path):
    kept = stretch(tmp_path, hp=(("api_token", "s3cr3t-value-123"),))
    assert "s3cr3t" not in json.dumps(dataclasses.asdict(kept))


def test_what_is_no_history_is_none():
    for written in (None, 3, "x", [3], [{}], [{"from_step": "x"}], {"a": 1}):
        assert trained_with.read(written) == ()


def test_settings_count_from_the_first_step_that_is_trained_with_them(tmp_path):
    first, now = stretch(tmp_path), stretch(tmp_path, hparams={"seed": 9})
    history = History(now)
    history.resume((first,), step=20)
    assert history.at(20) == (first,)
    assert history.at(30) == (first, dataclasses.replace(now, from_step=20))
    same = History(first)
    same.resume((first,), step=20)
    assert same.at(30) == (first,)
    # A checkpoint of an earlier version does not say.
    unknown = History(now)
    unknown.resume((), step=20)
    assert unknown.at(20) == ()
    assert unknown.at(30) == (dataclasses.replace(now, from_step=20),)
