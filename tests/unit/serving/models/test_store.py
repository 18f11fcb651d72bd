"""Looking for versions, with models that load and fail as their files say."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.config.errors import UserError
from trainer.packaging.locate import GRAPH_FILE
from trainer.serving.http.errors import bad_request
from trainer.serving.models.store import ModelStore


@pytest.fixture
def models(tmp_path) -> ModelStore:
    class Model:
        def __init__(self, path: Path, *, batching: bool | None) -> None:
            self.signatures = {"serving_default": None}
            self._does = (path / GRAPH_FILE).read_text()

        def warm_up(self, sizes) -> None:
            if self._does == "refuse":
                raise bad_request("no zeros, please")
            if self._does == "fail":
                raise RuntimeError("out\nof order")

        def check_batching(self) -> list[str]:
            return []

    def make_batcher(name, model):
        return SimpleNamespace(waiting=0, close=lambda: None)

    return ModelStore(tmp_path, "model", 2, make_batcher, tick=0.0, load_model=Model)


def write(folder: Path, does: str = "work") -> None:
    folder.mkdir()
    (folder / GRAPH_FILE).write_text(does)


def test_a_version_that_fails_at_its_first_call_is_not_shown_and_others_are(models, capsys):
    write(models.folder / "1")
    models.refresh(first=True)
    write(models.folder / "2", "fail")
    write(models.folder / "3")
    for _ in range(3):
        models.refresh()
    assert models.get().number == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("cannot load model/2: RuntimeError: out of order") == 1
    assert models.status("model", 2)[2].message == "out of order"
    # It takes the place of none that works.
    assert models.get(number=1).number == 1


def test_a_second_model_of_a_name_changes_nothing_until_it_has_gone(models, capsys):
    for team, number in (("teamA", 1), ("teamB", 5)):
        (models.folder / team / "net").mkdir(parents=True)
        write(models.folder / team / f"net/{number}")
        models.refresh(first=team == "teamA")
    models.refresh()
    assert models.get("net").number == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("teamB/net are both called 'net'" in line for line in lines) == 1
    with pytest.raises(UserError, match="are both called 'net'"):
        models.check()
    shutil.rmtree(models.folder / "teamB")
    write(models.folder / "teamA/net/2")
    models.refresh()
    models.refresh()
    assert models.get("net").number == 2


def test_what_looks_unfinished_is_tried_at_the_start_alone(models):
    for number in (1, 2):
        write(models.folder / str(number))
        (models.folder / str(number) / "variables").mkdir()
        models.refresh(first=number == 1)
    models.refresh()
    assert models.get().number == 1
    assert list(models.status("model")) == [1]


def test_a_model_that_takes_no_zeros_is_shown_all_the_same(models, capsys):
    write(models.folder / "1", "refuse")
    models.refresh(first=True)
    assert models.get().number == 1
    assert (
        "warning: model/1 fails on zeros: no zeros, please" in capsys.readouterr().out.splitlines()
    )
