"""Names of folders that TensorFlow does not take for patterns."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.storage.plain_names import without_wildcards

AWKWARD = ["run[1]", "lr[0.1]/model", "a\\b", "what?", "a*"]


def test_a_folder_without_wildcards_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model", "a]b", "{a,b}", "50%"):
        assert without_wildcards(Path(name)) == Path(name)


@pytest.mark.parametrize("name", AWKWARD)
def test_any_other_gets_one_that_leads_to_it_also_when_it_comes_later(tmp_path, name):
    link = without_wildcards(tmp_path / name)
    assert not set("*?[\\") & set(str(link))
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "file").write_text("x")
    assert (link / "file").read_text() == "x"
    assert without_wildcards(tmp_path / name) == link


def test_links_go_with_the_process_and_folders_stay(tmp_path):
    (tmp_path / "tmp[1]").mkdir()
    (tmp_path / "run[1]").mkdir()
    program = (
        "from pathlib import Path; from trainer.storage.plain_names import without_wildcards\n"
    )
    program += "print(without_wildcards(Path('run[1]')))"
    env = {"TMPDIR": str(tmp_path / "tmp[1]")}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    link = Path(ran.stdout.decode().strip())
    assert "[" not in str(link)
    assert not link.parent.exists()
    assert (tmp_path / "run[1]").is_dir()
