import subprocess
import sys

import pytest

from trainer.config import Hparams, Job, UserError
from trainer.models import loader, own_hparams, recipes

HPARAMS = """
HPARAMS = {
    "units": {"default": 8, "low": 1, "high": 64, "help": "width of the hidden layer"},
    "activation": {"default": "relu", "choices": ["relu", "gelu"]},
    "rate": {"default": 0.5, "low": 0.0},
    "residual": False,
}
def keras_model(hparams):
    return hparams.units, hparams.activation, hparams.rate, hparams.residual, hparams.dropout
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module, and return its path."""
    monkeypatch.setattr("sys.path", [*sys.path])

    def write(text: str = HPARAMS) -> str:
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    return write


def completed(name: str, *hp: tuple[str, str]) -> Hparams:
    return recipes.complete(Job(module=name, hparams=Hparams(hp=hp)), precision="float32").hparams


def test_functions_of_the_module_find_values_of_the_right_type(module):
    name = module()
    hparams = completed(name, ("units", "3.2e1"), ("residual", "True"), ("rate", "2"))
    assert dict(hparams.hp) == {
        "units": "32", "activation": "relu", "rate": "2.0", "residual": "True"
    }  # fmt: skip
    assert loader.load(name).keras_model(hparams) == (32, "relu", 2.0, True, 0.0)


def test_defaults_are_filled_in_where_nothing_is_given(module):
    name = module()
    assert loader.load(name).keras_model(completed(name)) == (8, "relu", 0.5, False, 0.0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("units", "0", "--hp units=0: expected 1 or more"),
        ("units", "65", "--hp units=65: expected 64 or less"),
        ("units", "1.5", "--hp units=1.5: expected a whole number"),
        ("residual", "maybe", "--hp residual=maybe: expected true or false"),
        ("activation", "tanh", "--hp activation=tanh: expected one of relu, gelu"),
        ("unit", "3", "--hp unit: HPARAMS of {} has no unit, did you mean units?; expected one of"),
    ],
)
def test_a_value_out_of_range_or_of_another_name_is_one_line(module, name, value, expected):
    path = module()
    with pytest.raises(UserError) as error:
        completed(path, (name, value))
    assert expected.format(path) in str(error.value)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("[1]", "HPARAMS of {}: expected a dict of literal values in the module itself"),
        ("dict(a=1)", "expected a dict of literal values in the module itself"),
        (
            "{'batch_size': 3}",
            "HPARAMS of {}: batch_size: is a flag already, --batch-size; leave it out: RECIPE may "
            "set its default, and hparams.batch_size has its value",
        ),
        ("{'keep': 3}", "keep: is a flag already, --keep; choose another name"),
        ("{'a b': 3}", "a b: expected a name of letters, digits and _"),
        ("{'a': {'low': 3}}", "a: has no default; expected default, low, high, choices, help"),
        ("{'a': {'default': 3, 'most': 4}}", "a: most is not known; expected default, low"),
        ("{'a': None}", "a: its default None is no number, text or switch"),
        ("{'a': {'default': 3, 'low': 4}}", "a: its default: expected 4 or more"),
    ],
)
def test_what_is_wrong_with_the_literal_is_one_line(module, stated, expected):
    path = module(f"HPARAMS = {stated}\ndef keras_model(h): ...\n")
    with pytest.raises(UserError) as error:
        own_hparams(path)
    assert expected.format(path) in str(error.value)


def test_hyperparameters_that_only_running_the_module_makes_are_refused(module):
    path = module(HPARAMS + 'HPARAMS["late"] = 3\n')
    with pytest.raises(UserError, match=r"HPARAMS of .*: expected a dict of literal values"):
        loader.load(path)


def test_a_module_without_them_takes_any(module):
    path = module("def keras_model(hparams): return dict(hparams.hp)\n")
    assert loader.load(path).keras_model(completed(path, ("a", "b"))) == {"a": "b"}


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_help_shows_them_without_importing_the_module(module, verb):
    path = module(HPARAMS + "raise SystemExit(3)\n")
    argv = [sys.executable, "-m", "trainer", verb, "--module", path, "--help"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    words = " ".join(ran.stdout.split())
    assert f"hyperparameters of {path}" in ran.stdout
    assert "--units VALUE width of the hidden layer; from 1 to 64 (default: 8)" in words
    assert "--activation VALUE one of relu, gelu (default: relu)" in words
    assert "--residual VALUE (default: False)" in words
