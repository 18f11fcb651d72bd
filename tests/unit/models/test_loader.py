import subprocess
import sys

import pytest

from trainer.config.errors import UserError
from trainer.models import loader

WHOLE = "def keras_model(h): ...\ndef input_fn(p, m, b, s): ...\ndef serving_input_fn(m): ...\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return tmp_path


def test_a_module_in_the_current_folder_is_found(folder):
    (folder / "my_model_a.py").write_text(WHOLE)
    assert loader.load("my_model_a").keras_model(None) is None


def test_a_module_in_a_package_is_found(folder):
    (folder / "my_pkg_b").mkdir()
    (folder / "my_pkg_b" / "my_model.py").write_text(WHOLE)
    assert loader.load("my_pkg_b.my_model").__name__ == "my_pkg_b.my_model"


def test_a_module_that_sets_up_logging_for_itself_disables_none_of_ours(folder):
    config = 'import logging.config\nlogging.config.dictConfig({"version": 1})\n'
    (folder / "my_model_d.py").write_text(config + WHOLE)
    # In a process of its own, as dictConfig closes the handlers of TensorFlow in this one.
    program = (
        "import logging\nfrom trainer.models import loader\nfrom trainer.runtime import log\n"
        "ours = logging.getLogger('trainer.training.loop')\nlog.begin()\n"
        "loader.load('my_model_d')\nours.info('step=1')\n"
    )
    argv = [sys.executable, "-c", program]
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "step=1\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (WHOLE.replace("def input_fn", "def other"), "has no function input_fn"),
        ("import no_such_package_c\n", "it imports no_such_package_c, which is missing"),
        ("def keras_model(:\n", "invalid syntax"),
    ],
)
def test_what_is_wrong_with_a_module_is_one_line(folder, source, expected):
    name = f"broken_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(source)
    with pytest.raises(UserError, match=expected) as error:
        loader.load(name)
    assert f"--module {name}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no_such_module_d", "no_such.module_d"])
def test_a_missing_module_names_where_it_was_looked_for(folder, name):
    with pytest.raises(UserError, match=f"--module {name}: no module named no_such.* in {folder}"):
        loader.load(name)


def test_options_that_a_function_does_not_know_are_left_out():
    assert loader.call_with_known(lambda a, seed: (a, seed), 1, seed=2, step=3) == (1, 2)
    assert loader.call_with_known(lambda a, **rest: (a, rest), 1, step=3) == (1, {"step": 3})


def test_a_recipe_that_only_running_the_module_makes_is_refused(folder):
    (folder / "written_e.py").write_text(WHOLE + 'RECIPE = {"batch_size": 7}\n')
    assert loader.load("written_e").RECIPE == {"batch_size": 7}
    (folder / "made_e.py").write_text(WHOLE + "from written_e import RECIPE\n")
    with pytest.raises(UserError, match="RECIPE of made_e: expected a dict of literal values"):
        loader.load("made_e")
