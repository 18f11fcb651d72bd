import dataclasses

import pytest

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of
from trainer.models import recipes


def open_options(hparams):
    return [name for name in options_of(Hparams) if getattr(hparams, name) is None]


@pytest.mark.parametrize("model", ["cnn", "fast", "sagemaker-cnn"])
def test_a_recipe_leaves_nothing_open(model):
    job = recipes.complete(Job(hparams=Hparams(model=model)), precision="float32")
    assert not open_options(job.hparams)
    assert job.epochs or job.steps
    # Recipes must keep within the ranges that flags have.
    assert dataclasses.replace(job) == job


def test_what_was_asked_for_stays():
    asked = Job(hparams=Hparams(batch_size=7, precision="float16", dropout=0.0), steps=3)
    job = recipes.complete(asked, precision="bfloat16")
    assert (job.hparams.batch_size, job.hparams.precision, job.hparams.dropout) == (7, "float16", 0)
    assert (job.steps, job.epochs) == (3, None)


def test_the_device_decides_the_precision_that_was_not_asked_for():
    assert recipes.complete(Job(), precision="bfloat16").hparams.precision == "bfloat16"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user's own, and return the job that names it."""
    monkeypatch.chdir(tmp_path)

    def write(source, name="own_model", **options):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('imported')\n{source}")
        return Job(module=name, **options)

    return write


def test_a_module_without_a_recipe_gets_neutral_defaults_and_not_the_cnns(module):
    job = recipes.complete(module(""), precision="float32")
    hparams = job.hparams
    assert (hparams.optimizer, hparams.learning_rate, hparams.schedule) == (
        "adam",
        0.001,
        "constant",
    )
    assert (hparams.warmup, hparams.dropout, hparams.label_smoothing) == (0, 0, 0)
    assert (job.epochs, job.steps) == (1.0, None)
    assert not open_options(hparams)
    by_model = {name for name, limits in options_of(Hparams).items() if limits.by_model}
    assert by_model == {*recipes.NEUTRAL} - {"epochs"}


def test_a_modules_recipe_is_read_without_importing_it_and_flags_are_stronger(module):
    recipe = 'RECIPE: dict = {"learning_rate": 1, "batch_size": 7, "steps": 1500}'
    job = module(recipe, hparams=Hparams(batch_size=9))
    found = recipes.recipe_of(job)
    assert found.source("learning_rate") == "recipe own_model"
    assert found.source("dropout") == "neutral default"
    done = recipes.complete(job, precision="float32")
    assert (done.hparams.learning_rate, done.hparams.batch_size) == (1, 9)
    assert (done.steps, done.epochs) == (1500, None)
    asked = recipes.complete(dataclasses.replace(job, epochs=2.0), precision="float32")
    assert (asked.steps, asked.epochs) == (None, 2.0)


def test_the_log_says_in_one_line_what_is_left_to_neutral_defaults(module):
    job = module('RECIPE = {"learning_rate": 0.1, "epochs": 2}', hparams=Hparams(optimizer="sgd"))
    assert recipes.neutral_values_note(job) == (
        "--module own_model: RECIPE sets learning_rate, epochs; neutral defaults: batch_size=32 "
        "schedule=constant warmup=0.0 beta_1=0.9 beta_2=0.999 dropout=0.0 label_smoothing=0.0"
    )
    bare = recipes.neutral_values_note(module("", name="bare"))
    assert bare is not None and bare.startswith("--module bare: no RECIPE; neutral defaults: ")
    assert "epochs=1.0" in bare
    assert recipes.neutral_values_note(Job()) is None


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("{'learning_rat': 0.1}", "learning_rat is not known, did you mean learning_rate?"),
        ("{'learning_rate': '0.1'}", "learning_rate: expected a number, found '0.1'"),
        ("{'batch_size': 0.5}", "batch_size: expected an integer, found 0.5"),
        ("{'batch_size': True}", "batch_size: expected an integer, found True"),
        ("{'dropout': 2.0}", "dropout 2.0: expected a number"),
        ("{'optimizer': 'lion'}", "optimizer lion: expected one of adam, adamw, sgd"),
        ("{'steps': 1, 'epochs': 1}", "has both steps and epochs; leave one out"),
        ("{'epochs': None}", "epochs: expected a number, found None"),
        ("dict(epochs=1)", "expected a dict of literal values in the module itself"),
        ("[1]", "expected a dict of literal values in the module itself"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_line(module, recipe, expected):
    with pytest.raises(UserError, match="RECIPE of own_model") as raised:
        recipes.recipe_of(module(f"RECIPE = {recipe}"))
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
