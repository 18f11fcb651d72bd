"""The space of a sweep: what its flags mean, and how tuning services describe it."""

import re

import pytest
from hypothesis import given, strategies as st

from trainer.config import DEFAULT_TAG, UserError
from trainer.sweep import read_space, sagemaker_definition, vertex_definition
from trainer.sweep.metric import metric_of, regex_of, values_in

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
        ({"metric": "r2", "dropout": "0..0.5"}, "--metric r2: expected NAME:max or NAME:min"),
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
    match = re.search(regex_of("test_accuracy"), LINE)
    assert match and match[1] == "0.9876"
    assert values_in(LINE, "test_accuracy") == [(100, 0.9876)]


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


MODULE = """
HPARAMS = {
    "width": {"default": 64.0, "low": 1, "high": 512},
    "depth": 3,
    "act": {"default": "relu", "choices": ["relu", "gelu"]},
    "bias": True,
    "note": "a",
}
"""


@pytest.fixture
def own(tmp_path):
    """Reads a space of hyperparameters that a module states."""
    path = tmp_path / "own.py"
    path.write_text(MODULE)
    return lambda **flags: read_space({"module": str(path), "hp": list(flags.items())})


def test_what_a_module_states_says_how_its_ranges_are_read(own):
    space = own(width="8..64:log", depth="1..4", act="relu,gelu", bias="true,false", note="1..2")
    width, depth, act, bias = space.dimensions
    # Whole numbers as text, but the default is none.
    assert (width.whole, width.low, width.high, width.log) == (False, 8.0, 64.0, True)
    assert (depth.whole, act.choices, bias.choices) == (True, ("relu", "gelu"), ("true", "false"))
    # Text is no range.
    assert "note=1..2" in space.fixed


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("width", "0.5..64", "--hp width=0.5: expected 1 or more"),
        ("width", "8..1024", "--hp width=1024.0: expected 512 or less"),
        ("width", "64,64.0", "different values"),
        ("depth", "1.5..3", "expected LOW..HIGH, each a whole number"),
        ("depth", "x", "--hp depth=x: expected a whole number"),
        ("act", "relu,swish", "--hp act=swish: expected one of relu, gelu"),
        ("dept", "1..3", "has no dept, did you mean depth?"),
    ],
)
def test_a_value_that_a_module_does_not_take_is_one_line(own, name, text, problem):
    with pytest.raises(UserError, match=re.escape(problem)):
        own(**{name: text})


R2 = "step=60 test_loss=1.2500 test_mean_absolute_error=0.9000 test_r2=-0.5000"


def test_the_metric_of_a_space_is_found_wherever_a_line_has_it():
    space = read_space({"dropout": "0..0.5", "metric": "r2:max"})
    assert metric_of(space) == "test_r2"
    assert values_in(R2, "test_r2") == [(60, -0.5)]
    match = re.search(regex_of("test_r2"), R2)
    assert match and match[1] == "-0.5000"
    # Lines of progress have figures of the training.
    assert values_in("step=5 of=9 loss=1.0", "test_loss") == []
    assert values_in("step=5 test_r2=nan", "test_r2") == []


@pytest.mark.parametrize("flag", ["validation", "validation_split"])
def test_with_validation_data_the_metric_is_of_that(flag):
    given = {"validation": ["v"]} if flag == "validation" else {flag: "0.1"}
    space = read_space({"dropout": "0..0.5", "metric": "loss:min", **given})
    assert metric_of(space) == "validation_loss"


def test_tuning_services_are_given_the_metric_and_which_of_its_values_is_better():
    space = read_space({"dropout": "0..0.5", "metric": "loss:min"})
    job = sagemaker_definition(space, trials=9, jobs=2)
    objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Minimize", "MetricName": "test_loss"}
    definition = job["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"] == {"metric": "loss:min"}
    (metric,) = definition["AlgorithmSpecification"]["MetricDefinitions"]
    match = re.search(metric["Regex"], LINE)
    assert match and match[1] == "0.0400"
    study = vertex_definition(space, trials=9, jobs=2)
    assert study["studySpec"]["metrics"] == [{"metricId": DEFAULT_TAG, "goal": "MINIMIZE"}]
    spec = study["trialJobSpec"]["workerPoolSpecs"][0]
    assert spec["containerSpec"]["args"] == ["--metric=loss:min"]
