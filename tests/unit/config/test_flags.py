import dataclasses

import pytest

from trainer.config.errors import UserError
from trainer.config.flags import add_flags, flags_of, job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of, options_of
from trainer.config.parser import Parser
from trainer.data.formats.registry import FORMATS
from trainer.models import recipes


def parse(*argv: str) -> Job:
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    return job_from_flags(vars(parser.parse_args(argv)))


def test_no_flags_give_the_defaults():
    assert parse() == Job()


def test_flags_reach_the_fields_of_their_names():
    job = parse("--batch-size", "64", "--steps", "10", "--learning-rate", "0.1", "--model", "fast")
    assert (job.hparams.batch_size, job.steps, job.hparams.learning_rate) == (64, 10, 0.1)
    assert job.hparams.model == "fast"


def test_underscores_are_hyphens_in_flags_but_not_in_values():
    assert parse("--batch_size=7", "--model_dir", "my_model--x_y") == Job(
        hparams=Hparams(batch_size=7), model_dir="my_model--x_y"
    )


def test_the_flags_of_a_job_give_it_again():
    job = Job(
        hparams=Hparams(learning_rate=1e-7, seed=3, model="fast", hp=(("units", "a b"), ("x", ""))),
        train=("a", "b c"),
        module="mine",
        autotune=True,
        deterministic=False,
        epochs=0.1,
    )
    options = {*options_of(Job), *options_of(Hparams)}
    assert parse(*flags_of(job, options)) == job
    assert flags_of(job, {"epochs"}) == ["--epochs", "0.1"]
    whole = dataclasses.replace(job, epochs=10.0)
    assert flags_of(whole, {"epochs"}) == ["--epochs", "10"]


@pytest.mark.parametrize(
    "values",
    [
        {"mlflow_experiment": '"quoted"'},
        {"mlflow_experiment": "None"},
        {"pixel_range": "-1,1"},
        {"train": ("-a", "b")},
    ],
)
def test_the_flags_of_a_job_keep_quotes_hyphens_and_the_word_none(values):
    job = Job(**values)
    assert parse(*flags_of(job, {*values})) == job


def test_paths_may_be_given_together_or_one_by_one():
    assert parse("--train", "a", "b", "--train", "c").train == ("a", "b", "c")


def test_hyperparameters_of_ones_own_are_pairs():
    assert dict(parse("--hp", "width=3", "name=a=b").hparams.hp) == {"width": "3", "name": "a=b"}


def test_a_module_of_ones_own_gets_the_flags_that_only_it_knows():
    job = parse("--module", "mine", "--my_width", "3", "--steps", "5", "--depth=4")
    assert dict(job.hparams.hp) == {"my_width": "3", "depth": "4"}
    assert job.steps == 5


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--batch-size", "ten"], "--batch-size: expected a whole number, found 'ten'"),
        (["--bach-size", "10"], "unknown argument --bach-size, did you mean --batch-size?"),
        (["--steps"], "--steps: expected one argument"),
        (["stray"], "unknown argument stray"),
        (["--hp", "width"], "'width': expected NAME=VALUE"),
        (["--batch-size", "0"], "--batch-size 0: expected a number of 1"),
        (["--module", "mine", "stray"], "unknown argument stray, expected --NAME VALUE"),
        (["--steps", "9" * 400], "--steps: expected a whole number, found '999"),
        (["--optimizer", "lion"], "--optimizer lion: expected one of adam, adamw, sgd"),
    ],
)
def test_a_mistake_is_one_line(argv, expected):
    with pytest.raises(UserError) as error:
        parse(*argv)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_help_lists_every_option_once_with_its_default():
    parser = Parser(prog="trainer train")
    add_flags(parser, Hparams, Job)
    text = " ".join(parser.format_help().split())
    for part in (Job, Hparams):
        defaults = {f.name: f.default for f in dataclasses.fields(part)}
        for name, option in options_of(part).items():
            named = option.help.replace("{names}", ", ".join(option.names))
            described = " ".join((named % ()).split())
            assert described in text, name
            if isinstance(defaults[name], (int, float, str)) and "default:" not in option.help:
                if isinstance(defaults[name], bool):
                    continue
                assert f"{described} (default: {defaults[name]})" in text, flag_of(name)


def test_help_lists_the_formats_that_are_read():
    parser = Parser(prog="trainer train")
    add_flags(parser, Hparams, Job)
    formats = ", ".join(FORMATS)
    text = " ".join(parser.format_help().split())
    assert f"training data: files, folders or globs of {formats} (default: synthetic" in text


def test_help_says_by_model_of_what_the_recipe_of_a_model_sets_and_of_nothing_else():
    completed = recipes.complete(Job(), precision="float32").hparams
    by_recipe = {
        name
        for name in options_of(Hparams)
        if getattr(Hparams(), name) is None and getattr(completed, name) is not None
    }
    # The device decides the precision.
    by_recipe.remove("precision")
    options = {**options_of(Hparams), **options_of(Job)}
    assert {name for name, option in options.items() if option.by_model} == by_recipe
