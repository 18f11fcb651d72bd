"""`trainer export`: the export that its flags ask for; without TensorFlow."""

import pytest

from trainer.cli import command_line, export
from trainer.training import ExportOptions


@pytest.fixture
def exports(monkeypatch) -> list[ExportOptions]:
    """The exports that would have been made."""
    found: list[ExportOptions] = []

    def export_checkpoint(options: ExportOptions) -> str:
        found.append(options)
        return f"{options.model_dir}/1"

    monkeypatch.setattr(export, "import_tensorflow", lambda **_: None)
    monkeypatch.setattr("trainer.training.export_checkpoint", export_checkpoint)
    return found


def test_the_place_of_the_model_is_all_that_is_printed(exports, capsys):
    argv = ["export", "--checkpoint", "ckpt/best", "--model-dir", "out", "--layout", "flat"]
    assert command_line.main([*argv, "--test", "a", "b", "--hp", "width=8"]) == 0
    assert capsys.readouterr() == ("out/1\n", "")
    assert exports == [
        ExportOptions(
            checkpoint="ckpt/best", model_dir="out", layout="flat", test=("a", "b"),
            hp=(("width", "8"),),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--model-dir", "out"], "--checkpoint: not given; name a folder"),
        (["--checkpoint", "ckpt"], "--model-dir: not given; name a folder"),
        (["--layout", "round"], "--layout round: expected one of version, servo, flat, tar"),
    ],
)
def test_a_mistake_is_one_line(exports, capsys, argv, line):
    assert command_line.main(["export", *argv]) == 2
    assert capsys.readouterr() == ("", f"trainer: error: {line}\n")
    assert exports == []
