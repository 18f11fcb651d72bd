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
    assert loader.load("my_pkg_b.my_model").name == "my_pkg_b.my_model"


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
        (WHOLE.replace("keras_model", "keras_models"), "no function keras_model, did you mean"),
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
    assert loader.load("written_e").keras_model(None) is None
    (folder / "made_e.py").write_text(WHOLE + "from written_e import RECIPE\n")
    with pytest.raises(UserError, match="RECIPE of made_e: expected a dict of literal values"):
        loader.load("made_e")


def test_a_module_is_loaded_by_its_path_and_finds_what_lies_beside_it(folder):
    (folder / "mine").mkdir()
    (folder / "mine/layers_f.py").write_text("width = 3\n")
    # Its name is that of a module of Python's, which stays as it is.
    (folder / "mine/statistics.py").write_text(
        "from layers_f import width\ndef keras_model(h): return width\n"
    )
    assert loader.load("mine/statistics.py").keras_model(None) == 3
    assert __import__("statistics").mean([1, 3]) == 2
    assert loader.load(str(folder / "mine/statistics.py")).name.endswith("mine/statistics.py")


def test_a_package_is_loaded_by_its_path_with_its_relative_imports(folder):
    (folder / "pkg_g/parts").mkdir(parents=True)
    (folder / "pkg_g/__init__.py").write_text("from .parts.net import keras_model\n")
    (folder / "pkg_g/parts/__init__.py").write_text("")
    (folder / "pkg_g/parts/net.py").write_text(
        "from ..width import width\ndef keras_model(h): return width\n"
    )
    (folder / "pkg_g/width.py").write_text("width = 5\n")
    assert loader.load("./pkg_g").keras_model(None) == 5
    assert loader.load("pkg_g/parts/net.py").keras_model(None) == 5


def test_a_path_that_is_no_module_is_one_line(folder):
    (folder / "empty").mkdir()
    for path in ("no/such.py", "./empty"):
        with pytest.raises(UserError, match=f"--module {path}: there is no such Python file"):
            loader.load(path)


def test_an_error_in_a_users_function_names_the_function_and_the_line(folder):
    (folder / "raising_h.py").write_text("def keras_model(h):\n    return {}['units']\n")
    with pytest.raises(UserError) as error:
        loader.load("raising_h.py").keras_model(None)
    expected = f"keras_model of raising_h.py: KeyError: 'units' ({folder}/raising_h.py:2)"
    assert str(error.value) == expected


def test_a_function_with_other_arguments_is_one_line(folder):
    (folder / "narrow_i.py").write_text(WHOLE + "def input_fn(paths, mode, batch_size): ...\n")
    with pytest.raises(UserError) as error:
        loader.load("narrow_i").input_fn([], "train", 1, None)
    assert str(error.value) == (
        "input_fn of narrow_i: takes (paths, mode, batch_size), "
        "expected (paths, mode, batch_size, shard)"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("input_fn = 3", "input_fn of {}: is 3; write it as a function: def input_fn(paths, mode"),
        ("TASK = 'ranking'", "TASK of {}: is 'ranking', expected classification or regression"),
        ("import math; math.sqrt(-1)", "--module {}: it cannot be imported: ValueError: "),
        (
            "import sys; sys.exit(0)",
            "--module {}: it cannot be imported: it ends the program by sys.exit(0) (",
        ),
        (
            "import argparse; argparse.ArgumentParser().error('--data is missing')",
            "--module {}: it cannot be imported: it ends the program by sys.exit(2) (",
        ),
    ],
)
def test_what_is_no_function_or_cannot_be_imported_is_one_line(folder, line, expected):
    name = f"broken_{abs(hash(line))}"
    (folder / f"{name}.py").write_text(f"{WHOLE}{line}\n")
    with pytest.raises(UserError) as error:
        loader.load(name)
    assert str(error.value).startswith(expected.format(name))
    # The line is the user's own, also where Python's own modules raise the error.
    if "import" in line:
        assert f"({folder / name}.py:{WHOLE.count(chr(10)) + 1})" in str(error.value)


def test_a_function_that_ends_the_program_names_the_line(folder):
    (folder / "ends.py").write_text(
        "import json, sys\ndef keras_model(h): sys.exit(0)\n"
        "def input_fn(paths, mode, batch_size, shard): return json.loads('{')\n"
    )
    module = loader.load("ends.py")
    with pytest.raises(UserError) as error:
        module.keras_model(None)
    expected = f"keras_model of ends.py: it ends the program by sys.exit(0) ({folder}/ends.py:2)"
    assert str(error.value) == expected
    with pytest.raises(UserError) as error:
        module.input_fn([], "train", 1, None)
    assert str(error.value).endswith(f"({folder}/ends.py:3)")


def test_a_module_without_a_reader_gets_the_built_in_ones(folder):
    (folder / "bare_j.py").write_text("def keras_model(h): ...\n")
    bare = loader.load("bare_j")
    assert bare.input_fn is loader.load("trainer.model").input_fn
    assert not bare.reads_data
    (folder / "whole_j.py").write_text(WHOLE)
    assert loader.load("whole_j").reads_data


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("note.ipynb", "{}", "only Python files and .keras files can be trained; name one that"),
        ("my.net.py", WHOLE, "a file whose name has a dot cannot be imported; rename it"),
        ("needs.py", "\nimport nobody_has_it", "it imports nobody_has_it, which is missing ("),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(folder, name, text, expected):
    (folder / name).write_text(text)
    with pytest.raises(UserError) as error:
        loader.load(name)
    assert str(error.value).startswith(f"--module {name}: {expected}")
    assert f"{folder}/needs.py:2)" in str(error.value) or name != "needs.py"
