"""The space of a sweep: what its flags mean, and how tuning services describe it."""

import re

import pytest
from hypothesis import given, strategies as st

from trainer.config import DEFAULT_TAG, UserError
from trainer.sweep import read_space, sagemaker_definition, vertex_definition
from trainer.sweep.cloud import TEST_METRIC, accuracies, regex_of

LINE = "step=100 test_accuracy=0.9876 test_loss=0.0400"


@given(st.integers(1, 30000), st.integers(1, 30000))
def test_a_range_of_whole_numbers_is_read_as_it_is_written(low: int, more: int):
    (found,) = read_space({"batch_size": f"{low}..{low + more}:log"}).dimensions
    assert (found.low, found.high, found.whole, found.log) == (low, low + more, True, True)


def test_choices_ranges_own_hyperparameters_and_single_values():
    space = read_space(
        {
            "optimizer": "adam,sgd", "dropout": "0..0.5:0.1", "epochs": "2",
            "train": ["../data"], "hp": [("width", "16..64"), ("name", "x")],
        }
    )  # fmt: skip
    own, dropout, optimizer = sorted(space.dimensions, key=lambda each: (not each.own, each.name))
    assert (own.name, own.whole, own.flags(20)) == ("width", True, ["--hp", "width=20"])
    assert dropout.step == 0.1
    assert optimizer.choices == ("adam", "sgd")
    assert space.fixed == ("--hp", "name=x", "--epochs=2", "--train", "../data")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"epochs": "2"}, "nothing to search for"),
        ({"learning_rate": "1..0.1"}, "expected a LOW below HIGH"),
        ({"dropout": "0..0.5:log"}, "expected a LOW above 0"),
        ({"dropout": "0..2"}, "--dropout 2"),
        ({"batch_size": "1.5..8"}, "a whole number"),
        ({"batch_size": "8..16:0"}, "expected log or a step"),
        ({"optimizer": "adam,adma"}, "--optimizer adma"),
        ({"optimizer": "adam,adam"}, "different values"),
        ({"dropout": "0.1,0.10"}, "different values"),
        ({"early_stop": "2,x"}, "--early-stop x: expected PATIENCE"),
        ({"profile": "1:2,3:1"}, "--profile 3:1"),
        ({"hp": [("a", "1,2"), ("a", "3,4")]}, "--hp a: given twice"),
        ({"hp": [("a", "1,2"), ("a", "3")]}, "--hp a: given twice"),
        ({"batch_size": "32,64", "hp": [("batch_size", "1..9")]}, "given twice"),
        ({"dropout": "0..0.5", "model_dir": "x"}, "--model-dir"),
        ({"steps": "5..9", "epochs": "2"}, "give one of them"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(values: dict, problem: str):
    with pytest.raises(UserError, match=re.escape(problem)):
        read_space(values)


def test_a_value_that_has_commas_itself_is_one_value():
    space = read_space({"image_size": "32,32", "pixel_range": "0,255", "early_stop": "2,3:0.1"})
    assert [each.name for each in space.dimensions] == ["early_stop"]
    assert space.fixed == ("--image-size=32,32", "--pixel-range=0,255")


SPACE = read_space(
    {"learning_rate": "0.001..0.1:log", "batch_size": "16..64:16", "optimizer": "adam,sgd"}
)


def test_sagemakers_definition_finds_the_metric_in_the_real_line():
    found = sagemaker_definition(SPACE, trials=9, jobs=2)
    config = found["HyperParameterTuningJobConfig"]
    (rate,) = config["ParameterRanges"]["ContinuousParameterRanges"]
    assert rate == {
        "Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1",
        "ScalingType": "Logarithmic",
    }  # fmt: skip
    choices = config["ParameterRanges"]["CategoricalParameterRanges"]
    assert {"Name": "batch_size", "Values": ["16", "32", "48", "64"]} in choices
    match = re.search(regex_of(TEST_METRIC), LINE)
    assert match and match[1] == "0.9876"
    assert accuracies(LINE) == [(100, 0.9876)]


def test_sagemakers_definition_has_the_fixed_values_as_static_hyperparameters():
    space = read_space({"dropout": "0..0.5", "batch_size": "64", "hp": [("width", "8")]})
    found = sagemaker_definition(space, trials=1, jobs=1)["TrainingJobDefinition"]
    assert found["StaticHyperParameters"] == {"batch_size": "64", "width": "8"}


def test_vertexs_definition_names_the_tag_that_the_trainer_reports():
    study = vertex_definition(SPACE, trials=9, jobs=2)["studySpec"]
    assert study["metrics"] == [{"metricId": DEFAULT_TAG, "goal": "MAXIMIZE"}]
    rate = next(each for each in study["parameters"] if each["parameterId"] == "learning_rate")
    assert rate["scaleType"] == "UNIT_LOG_SCALE"
    assert rate["doubleValueSpec"] == {"minValue": 0.001, "maxValue": 0.1}
