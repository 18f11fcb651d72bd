"""Modules that are imported when they are used, and no sooner."""

import importlib
import os
import pickle
import subprocess
import sys

import pytest

from trainer.runtime.late_modules import late

USED = """
import sys
from trainer.runtime.tensorflow import import_tensorflow
tf = import_tensorflow()
late = ("sklearn", "matplotlib", "pandas", "IPython", "googleapiclient", "tensorflow.lite.python")
assert not [name for name in late if name in sys.modules]

import keras
from keras.src.saving.file_editor import ipython
from keras.src.trainers.data_adapters import array_slicing
from keras.src.visualization.plot_image_gallery import plt
from tensorflow.python.distribute.cluster_resolver import gce_cluster_resolver
assert not isinstance(1, array_slicing.ARRAY_TYPES)
from sklearn.base import ClassifierMixin
print(issubclass(tf.keras.wrappers.SKLearnClassifier, ClassifierMixin))
print(keras.wrappers.SKLearnClassifier is tf.keras.wrappers.SKLearnClassifier)
print(tf.lite.TFLiteConverter.__name__, tf.compat.v1.lite.TFLiteConverter.__name__)
import tensorflow.lite as lite
print(tf.lite.Interpreter is lite.Interpreter, lite is tf.lite)
print(ipython.get_ipython(), plt.figure.__module__, gce_cluster_resolver.discovery.build.__name__)

import pandas
for table in (pandas.DataFrame({"a": [1, 2, 3]}), pandas.Series([1, 2, 3])):
    assert isinstance(table, array_slicing.ARRAY_TYPES)
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(pandas.DataFrame({"a": [1.0, 2.0]}), pandas.Series([1.0, 2.0]), verbose=0)
print(model.predict(pandas.DataFrame({"a": [1.0, 2.0]}), verbose=0).shape)
"""


@pytest.mark.tensorflow
def test_what_tensorflow_and_keras_import_for_others_comes_when_it_is_used():
    ran = subprocess.run(
        [sys.executable, "-c", USED], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "True",
        "True",
        "TFLiteConverterV2 TFLiteConverter",
        "True True",
        "None matplotlib.pyplot build",
        "(2, 1)",
    ]


BROKEN = """
import sys
import numpy as np
from trainer.runtime.tensorflow import import_tensorflow
import_tensorflow()
import keras
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((4, 2)), np.ones(4), validation_split=0.5, verbose=0)
assert "pandas" not in sys.modules
print(model.predict(np.ones((3, 2)), verbose=0).shape)
"""


@pytest.mark.tensorflow
def test_arrays_need_no_pandas_that_cannot_be_imported(tmp_path):
    (tmp_path / "pandas").mkdir()
    (tmp_path / "pandas/__init__.py").write_text("raise ImportError('of another NumPy')")
    ran = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ran.stdout == "(3, 1)\n", ran.stderr


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A package of one module, which say when they are imported, and one that imports both."""
    (tmp_path / "box").mkdir()
    (tmp_path / "box/__init__.py").write_text("print('box')\nsize = 3\n")
    (tmp_path / "box/lid.py").write_text("print('lid')\nopen = True\n")
    (tmp_path / "mover.py").write_text("import box\nimport box.lid as top\nfrom box import lid\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("box", "box.lid", "mover"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("box")
def test_a_package_and_its_modules_are_imported_when_they_are_used(capsys):
    with late(["box"]):
        mover = importlib.import_module("mover")
    assert capsys.readouterr().out == ""
    assert "box" not in sys.modules
    assert mover.lid.open and mover.top.open and mover.box.size == 3
    assert capsys.readouterr().out == "box\nlid\n"
    assert "open" in dir(mover.lid)
    assert mover.box.lid.open


@pytest.mark.usefixtures("box")
def test_what_is_used_at_once_is_imported_at_once(capsys):
    with late(["box"]):
        mover = importlib.import_module("mover")
        assert mover.box.size == 3
        assert capsys.readouterr().out == "box\n"
        assert sys.modules["box"].size == 3
        assert mover.top.open
    assert capsys.readouterr().out == "lid\n"


@pytest.mark.usefixtures("box")
def test_a_stand_in_is_pickled_as_the_module():
    with late(["box"]):
        mover = importlib.import_module("mover")
    assert pickle.loads(pickle.dumps(mover.box)).size == 3


@pytest.mark.usefixtures("box")
def test_what_a_module_lacks_is_missing_from_its_stand_in_too():
    with late(["box", "crate"]):
        mover = importlib.import_module("mover")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("crate")
    with pytest.raises(AttributeError, match="module 'box' has no attribute 'colour'"):
        mover.box.colour  # noqa: B018


@pytest.mark.usefixtures("box")
def test_a_module_that_was_imported_before_is_no_stand_in(capsys):
    real = importlib.import_module("box")
    capsys.readouterr()
    with late(["box"]):
        assert importlib.import_module("mover").box is real
    # The rest of it comes as always.
    assert capsys.readouterr().out == "lid\n"
