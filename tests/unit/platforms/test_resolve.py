import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from trainer.config.errors import UserError
from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of
from trainer.config.parser import Parser
from trainer.platforms import local
from trainer.platforms.base import Environment
from trainer.platforms.coerce import coerce_value, field_of, known_options
from trainer.platforms.google import platform as google
from trainer.platforms.kubernetes import platform as kubernetes
from trainer.platforms.registry import PLATFORMS, detect_platform
from trainer.platforms.resolve import ResolvedJob, resolve_job
from trainer.platforms.sagemaker import platform as sagemaker

NOWHERE = Path("/nowhere")


def sent(hyperparameters: dict[str, Any], *argv: str) -> ResolvedJob:
    """A SageMaker job with these hyperparameters and arguments."""
    env = {"SM_MODEL_DIR": "/opt/ml/model", "SM_HPS": json.dumps(hyperparameters)}
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    return resolve_job(Environment(env=env, argv=argv, root=NOWHERE), vars(parser.parse_args(argv)))


def mistake(hyperparameters: dict[str, Any], *argv: str) -> str:
    with pytest.raises(UserError) as error:
        sent(hyperparameters, *argv)
    assert "\n" not in str(error.value)
    return str(error.value)


# Which platform


@pytest.mark.parametrize(
    ("env", "platform"),
    [
        ({}, local),
        ({"TF_CONFIG": "{}"}, google),
        ({"SM_HOSTS": "[]"}, sagemaker),
        ({"SM_HOSTS": "[]", "TF_CONFIG": "{}", "AIP_MODEL_DIR": "x"}, sagemaker),
        ({"PATH": "/bin", "HOME": "/root", "KUBERNETES_SERVICE_HOST": "x"}, local),
        ({"KUBERNETES_SERVICE_HOST": "x", "CLOUD_ML_JOB_ID": "1"}, google),
        ({"KUBERNETES_SERVICE_HOST": "x", "CLOUD_ML_JOB_ID": "1", "TF_CONFIG": "{}"}, google),
        ({"KUBERNETES_SERVICE_HOST": "x", "TF_CONFIG": "{}"}, kubernetes),
        ({"JOB_COMPLETION_INDEX": "0"}, kubernetes),
        ({"JOB_COMPLETION_INDEX": "0", "SM_HOSTS": "[]"}, sagemaker),
    ],
)
def test_sagemaker_is_asked_first_and_a_plain_machine_is_the_rest(env, platform):
    assert detect_platform(Environment(env=env, root=NOWHERE))[0] is platform.PLATFORM


def test_a_plain_machine_takes_the_flags_and_nothing_else():
    found = resolve_job(Environment(env={"STEPS": "3"}, root=NOWHERE), {"steps": 10, "run": print})
    assert found.job == Job(steps=10, distribution="none")
    assert found.sources == {"steps": "--steps"}


# Precedence


def test_a_flag_is_stronger_than_a_hyperparameter_and_that_than_the_default():
    found = sent({"batch-size": "64", "seed": "7"}, "--batch-size", "32")
    hparams = found.job.hparams
    assert (hparams.batch_size, hparams.seed, hparams.model) == (32, 7, "cnn")
    assert found.sources["batch_size"] == "--batch-size"
    assert found.sources["seed"] == "hyperparameter seed"
    assert "model" not in found.sources


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"lr": "0.1"}, "hyperparameter lr: is not known, did you mean learning_rate?"),
        ({"batchsize": "8"}, "hyperparameter batchsize: is not known, did you mean batch_size?"),
        ({"width": "3"}, "hyperparameter width: is not known (trainer train --help)"),
        ({"hp": '{"lr": 1}'}, "--hp lr: only a model of your own (--module) has hyperparameters"),
    ],
)
def test_a_name_that_the_built_in_models_do_not_know_is_refused(given, expected):
    assert expected in mistake(given)


def two_values(name: str) -> tuple[Any, Any]:
    """Two values that a field may have."""
    limits, kind = known_options()[name]
    if name == "hp":
        return (("a", "1"),), (("a", "2"),)
    forms = {
        "profile": ("1:2", "3:4"),
        "early_stop": ("3", "5:0.01"),
        "metric": ("loss:min", "accuracy:max"),
        "image_size": ("8,8", "9,9"),
        "pixel_range": ("0,1", "-1,1"),
        "classes": ("11", "12"),
        "feature": (("image=a",), ("label=b",)),
    }
    if name in forms:
        return forms[name]
    if limits.many:
        return ("a",), ("b",)
    if kind is float:
        # Within every field's range.
        return 0.25, 0.5
    return {bool: (True, False), int: (1, 2), str: (*limits.choices, "a", "b")[:2]}[kind]


@pytest.mark.parametrize("platform", [{}, {"SM_MODEL_DIR": "/m"}, {"CLOUD_ML_JOB_ID": "1"}])
def test_variables_of_mlflow_count_on_every_platform_and_flags_come_first(platform):
    env = {**platform, "MLFLOW_TRACKING_URI": "http://a:5000", "MLFLOW_EXPERIMENT_NAME": "digits"}
    env["MLFLOW_RUN_ID"] = ""
    found = resolve_job(Environment(env=env, root=NOWHERE), {"mlflow_experiment": "other"})
    assert found.job.mlflow_uri == "http://a:5000"
    assert found.sources["mlflow_uri"] == "MLFLOW_TRACKING_URI"
    assert (found.job.mlflow_experiment, found.job.mlflow_run) == ("other", None)


# SageMaker's own model folder comes first, see test_sagemaker; of steps and epochs only one counts.
@pytest.mark.parametrize("name", sorted(set(known_options()) - {"model_dir", "steps", "epochs"}))
def test_each_field_follows_the_same_precedence(name):
    weak, strong = two_values(name)
    # Pairs are an object in JSON.
    raw = dict(weak) if name == "hp" else weak
    # Only a module of one's own has pairs.
    module = {"module": "my.model"} if name == "hp" else {}
    env = {"SM_MODEL_DIR": "/m", "SM_HPS": json.dumps({name: raw, **module})}
    for flags, expected in (({}, weak), ({name: strong}, strong)):
        job = resolve_job(Environment(env=env, root=NOWHERE), flags).job
        holder = job.hparams if name in options_of(Hparams) else job
        assert getattr(holder, name) == expected


def test_the_stronger_of_steps_and_epochs_counts():
    assert (sent({"steps": "10"}, "--epochs", "2").job.steps) is None
    assert (sent({"epochs": "2"}, "--steps", "10").job.epochs) is None
    assert "give one of them" in mistake({"steps": "10", "epochs": "2"})


# Names


@pytest.mark.parametrize(
    "key", ["batch-size", "batch_size", "--batch-size", "--batch_size", "-batch_size"]
)
def test_hyphens_and_underscores_are_the_same(key):
    assert sent({key: "64"}).job.hparams.batch_size == 64


@pytest.mark.parametrize("key", ["train-file", "train_files", "train"])
def test_other_names_of_a_flag_are_names_of_hyperparameters(key):
    assert field_of(key) == "train"
    assert sent({key: "/data"}).job.train == ("/data",)


def test_two_names_of_one_field_may_agree_but_not_contradict():
    assert sent({"batch-size": "64", "batch_size": 64}).job.hparams.batch_size == 64
    assert mistake({"batch-size": "64", "batch_size": "32"}) == (
        "hyperparameter batch_size: contradicts hyperparameter batch-size; send one of the two"
    )


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("bach-size", ", did you mean batch_size?"),
        ("learning_rat", ", did you mean learning_rate?"),
        ("trainfile", ", did you mean train_file?"),
        ("zzz", ""),
        ("platform", ""),
        ("cluster", ""),
    ],
)
def test_an_unknown_hyperparameter_is_reported_with_the_nearest(key, hint):
    assert mistake({key: "1"}).startswith(f"hyperparameter {key}: is not known{hint}")


def test_an_unknown_hyperparameters_value_is_not_reported():
    assert "hunter2" not in mistake({"api_key": "hunter2"})
    assert "hunter2" not in mistake({"hp": "hunter2"})


# A module of the user's own


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("007", "007"),
        ("1e5", "1e5"),
        ('"a b"', "a b"),
        ("$(id)", "$(id)"),
        ("true", "true"),
        ("", ""),
        (None, ""),
        (7, "7"),
        (["a", 1], '["a", 1]'),
        ({"b": 1}, '{"b": 1}'),
    ],
)
def test_what_only_the_module_knows_reaches_it_as_it_was_sent(raw, value):
    job = sent({"my-width": raw, "module": "my.model"}).job
    assert dict(job.hparams.hp) == {"my_width": value}
    assert dict(sent({"my_width": raw}, "--module", "my.model").job.hparams.hp)["my_width"] == value


def test_a_hyperparameter_of_the_module_that_resembles_a_flag_is_named():
    (note,) = sent({"learnign_rate": "3", "my_width": "5", "module": "my.model"}).notes
    assert note == (
        "hyperparameter learnign_rate: passed on to your module; the trainer's own flag is "
        "--learning-rate"
    )


@pytest.mark.parametrize("module", ["trainer.model", '"trainer.model"', ""])
def test_the_trainers_own_module_knows_no_others(module):
    assert "my-width: is not known" in mistake({"my-width": "3", "module": module})


def test_pairs_are_put_together_and_the_stronger_word_counts():
    given = {"width": "1", "hp": '{"depth": 2, "name": "a"}', "module": "my.model"}
    pairs = dict(sent(given, "--hp", "name=b", "more=c").job.hparams.hp)
    assert pairs == {"width": "1", "depth": "2", "name": "b", "more": "c"}


@pytest.mark.parametrize("raw", ['["a=1", "b=x=y"]', "['a=1', 'b=x=y']", ["a=1", "b=x=y"]])
def test_pairs_may_be_written_as_the_flag_has_them(raw):
    assert dict(sent({"hp": raw, "module": "m"}).job.hparams.hp) == {"a": "1", "b": "x=y"}


# Values


TEXTS = ["007", "1e5", "true", "3", "a b", 'say "hi"', "$(id)", "`id`; rm -rf /", "--x", "é", "[a"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("quote", [str, json.dumps])
def test_text_stays_as_it_was_sent_quoted_or_not(text, quote):
    for name in ("job_dir", "log_dir", "module"):
        assert coerce_value(name, quote(text), where="x") == text
    assert coerce_value("train", quote(text), where="x") == (text,)


@pytest.mark.parametrize("raw", ["", '""', "null", "None", None, [], "[]"])
@pytest.mark.parametrize("name", ["steps", "learning_rate", "deterministic", "train", "hp"])
def test_nothing_says_nothing(name, raw):
    assert coerce_value(name, raw, where="x") is None


@pytest.mark.parametrize("raw", ["", '""', "null", "None", None])
def test_nothing_as_text_says_nothing_either(raw):
    assert coerce_value("log_dir", raw, where="x") is None


@pytest.mark.parametrize("raw", ["10", 10, 10.0, '"10"', "10.0", "1e1", " 10 ", "010"])
def test_whole_numbers(raw):
    value = coerce_value("steps", raw, where="x")
    assert (value, type(value)) == (10, int)


@pytest.mark.parametrize("raw", ["0.001", 0.001, "1e-3", '"0.001"'])
def test_numbers(raw):
    assert coerce_value("learning_rate", raw, where="x") == 0.001
    value = coerce_value("epochs", "2", where="x")
    assert (value, type(value)) == (2.0, float)


@pytest.mark.parametrize("raw", ["true", "True", '"true"', "TRUE", True, '"True"'])
def test_true(raw):
    assert coerce_value("deterministic", raw, where="x") is True


@pytest.mark.parametrize("raw", ["false", "False", '"false"', "FALSE", False])
def test_false(raw):
    assert coerce_value("deterministic", raw, where="x") is False


@pytest.mark.parametrize(
    ("raw", "paths"),
    [
        ("/a b/c", ("/a b/c",)),
        ('"/a b/c"', ("/a b/c",)),
        ('["/a", "/b c"]', ("/a", "/b c")),
        ("['/a', '/b c']", ("/a", "/b c")),
        (["/a", 7], ("/a", "7")),
        ("[ab]*.tfrecord", ("[ab]*.tfrecord",)),
        ("7", ("7",)),
        ("{x", ("{x",)),
    ],
)
def test_several_paths_are_a_list_and_one_is_a_string(raw, paths):
    assert coerce_value("train", raw, where="x") == paths


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("steps", "ten", "expected a whole number, found 'ten'"),
        ("steps", "1.5", "expected a whole number, found 1.5"),
        ("steps", "true", "expected a whole number, found True"),
        ("steps", "[1]", "expected a whole number, found a list of 1"),
        ("steps", {"a": 1}, "expected a whole number, found an object of 1"),
        ("steps", "NaN", "expected a whole number"),
        ("steps", "1e999", "expected a whole number"),
        ("steps", "9" * 5000, "expected a whole number"),
        ("steps", "9" * 4000, "expected a whole number"),
        ("steps", "1e164", "expected a whole number"),
        ("steps", "0", "hyperparameter x 0: expected a number of 1 or more"),
        ("learning_rate", "high", "expected a number, found 'high'"),
        ("learning_rate", "NaN", "expected a number above 0"),
        ("learning_rate", "1e999", "expected a number above 0"),
        ("deterministic", "1", "expected true or false, found 1"),
        ("deterministic", "yes", "expected true or false, found 'yes'"),
        ("optimizer", "lion", "expected one of adam, adamw, sgd, found 'lion'"),
        ("optimizer", "a\nb", "found 'a\\nb'"),
        ("hp", "width", "expected an object of names and values, or NAME=VALUE"),
    ],
)
def test_a_wrong_value_is_reported_with_what_was_expected(name, raw, expected):
    with pytest.raises(UserError) as error:
        coerce_value(name, raw, where="hyperparameter x")
    assert expected in str(error.value)
    assert str(error.value).startswith("hyperparameter x")
    assert len(str(error.value)) < 200


plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(sorted(known_options())),
    nested,
    st.sampled_from([str, json.dumps, lambda v: v]),
)
def test_any_value_becomes_one_of_the_fields_type_or_an_error_of_one_line(name, value, spelt):
    limits, kind = known_options()[name]
    try:
        found = coerce_value(name, spelt(value), where="x")
    except UserError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 200
        return
    if found is not None:
        assert type(found) is (tuple if limits.many else kind)
        if name == "hp":
            assert all(isinstance(part, str) for pair in found for part in pair)
        elif limits.many:
            assert all(isinstance(item, str) for item in found)


@given(st.text(min_size=1))
def test_any_text_survives_the_quotes_of_the_sdk(text):
    assert coerce_value("job_dir", json.dumps(text), where="x") == text


@given(st.integers(1, 2**53) | st.floats(1e-300, 999, exclude_min=True))
def test_any_number_survives_either_way_of_writing_it(number):
    name = "steps" if isinstance(number, int) else "learning_rate"
    for spelt in (number, str(number), json.dumps(number), json.dumps(str(number))):
        assert math.isclose(coerce_value(name, spelt, where="x"), number, rel_tol=0)


def test_each_platform_has_the_name_that_it_is_registered_under():
    assert [platform.name for platform in PLATFORMS.values()] == [*PLATFORMS]
