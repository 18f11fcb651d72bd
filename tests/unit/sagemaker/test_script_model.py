import pytest

from trainer.sagemaker.script_model import model_warning


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "the script has left no model there"),
        (["model.h5"], "holds model.h5 but no saved_model.pb"),
        (["best/saved_model.pb"], "its SavedModel lies in best, which is no number"),
        (["saved_model.pb"], "which is no number"),
        (["1/saved_model.pb", "notes.txt"], None),
        (["export/Servo/1700000000/saved_model.pb"], None),
    ],
)
def test_what_no_server_takes_is_warned_of(tmp_path, files, expected):
    folder = tmp_path / "model"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    warning = model_warning(folder)
    assert (warning is None) if expected is None else (expected in warning)
