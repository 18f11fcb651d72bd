import ast
import json
import subprocess

import pytest
import yaml

from trainer.cli import command_line


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = command_line.main(["submit", *argv])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch, tmp_path):
    """No settings of a team, and no variables that name a place."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRAINER_TO", "TRAINER_IMAGE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("words", [[], ["train"], ["trainer", "train"]])
def test_the_command_that_trains_here_may_be_given_whole(capsys, words):
    code, out, err = run(capsys, "--to", "docker", "--print", "--", *words, "--model", "fast")
    assert (code, err) == (0, "")
    assert json.loads(out)[0]["body"]["Cmd"] == ["--model", "fast"]


def test_the_place_may_come_from_a_variable_or_the_teams_file(capsys, monkeypatch, tmp_path):
    (tmp_path / "trainer.toml").write_text('to = "docker"\nimage = "i:1"\n')
    code, out, _ = run(capsys, "--print", "--", "--steps", "5")
    assert (code, json.loads(out)[0]["body"]["Image"]) == (0, "i:1")
    monkeypatch.setenv("TRAINER_TO", "compose")
    assert "services:" in run(capsys, "--print", "--", "--steps", "5")[1]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--", "--steps", "5"], "--to: no place is named; add --to with one of "),
        (["--to", "dokcer", "--", "--steps", "5"], "--to dokcer: expected one of "),
        (["--to", "docker", "train", "--steps", "5"], "--steps, the job's own flags stand behind"),
        (["--to", "docker", "train"], "train: the flags of trainer train stand behind --"),
        (["--to", "docker", "--", "--stesp", "5"], "unknown argument --stesp, did you mean"),
        (["--to", "docker", "--", "--steps", "0"], "--steps 0: expected a number of 1 or more"),
        (["--to", "docker", "--", "--dry-run"], "--dry-run: the job itself trains nothing then"),
        (["--to", "docker", "--print", "python", "--"], "--print python: docker has request"),
        (["--to", "docker", "--tune", "epochs=1..5", "--"], "it has no tuning service"),
        (["--to", "docker", "--tune", "epochs", "--"], "--tune epochs: expected FLAG=RANGE"),
        (["--to", "docker", "--local", "--print", "x", "--"], "docker has request"),
        (["--to", "docker", "--local", "--"], "it runs on this machine anyway"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(capsys, argv, expected):
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("trainer: error: ")
    assert expected in err
    assert err.count("\n") == 1


def test_settings_show_where_each_comes_from(capsys, monkeypatch, tmp_path):
    (tmp_path / "trainer.toml").write_text('image = "i:1"\n[vertex]\nregion = "europe-west4"\n')
    monkeypatch.setenv("TRAINER_TO", "vertex")
    assert command_line.main(["config", "show"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"file: {tmp_path}/trainer.toml",
        "to = vertex  (TRAINER_TO)",
        f"image = i:1  ({tmp_path}/trainer.toml: image)",
        f"[vertex] region = europe-west4  ({tmp_path}/trainer.toml: [vertex] region)",
    ]
    assert command_line.main(["config", "show", "vertex", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"place": "", "setting": "hosts", "value": 1, "from": "default"} in found["settings"]


def test_each_cloud_has_an_image_and_a_bucket_of_its_own(capsys, tmp_path):
    (tmp_path / "trainer.toml").write_text(
        'image = "i:1"\n[vertex]\nimage = "v:2"\noutput = "gs://bucket/runs"\nproject = "p"\n'
        '[sagemaker]\noutput = "s3://bucket/runs"\nregion = "eu-west-1"\n'
    )
    job = ("--print", "--", "--train")
    _, vertex, _ = run(capsys, "--to", "vertex", "--region", "r", *job, "gs://bucket/mnist")
    assert "v:2" in vertex
    assert "gs://bucket/runs/" in vertex
    _, sagemaker, _ = run(capsys, "--to", "sagemaker", *job, "s3://bucket/mnist")
    assert "i:1" in sagemaker
    assert "s3://bucket/runs" in sagemaker
    assert command_line.main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert f"[vertex] image = v:2  ({tmp_path}/trainer.toml: [vertex] image)" in shown
    assert "[sagemaker] image" not in shown
    assert command_line.main(["config", "show", "vertex"]) == 0
    assert "image = v:2" in capsys.readouterr().out


def test_a_setting_that_nobody_reads_is_a_mistake(capsys, tmp_path):
    (tmp_path / "trainer.toml").write_text('[docker]\ngpu = "all"\n')
    code, _, err = run(capsys, "--to", "docker", "--print", "--", "--steps", "5")
    assert code == 2
    assert "trainer.toml: [docker] gpu: no such setting, did you mean gpus?" in err


PRINTED = {
    "sagemaker": ("request", "python", "python-v3", "cli"),
    "vertex": ("request", "python", "yaml", "cli"),
    "kubernetes": ("yaml", "request", "cli"),
    "compose": ("yaml",),
    "docker": ("request", "cli"),
}
OUTPUT = {"sagemaker": "s3://bucket/runs", "compose": "runs", "docker": "runs"}


def check_syntax(form: str, text: str) -> None:
    if form == "request":
        json.loads(text)
    elif form == "yaml":
        assert [*yaml.safe_load_all(text)]
    elif form == "cli":
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    else:
        ast.parse(text)


@pytest.mark.parametrize(
    ("place", "form"), [(place, form) for place, forms in PRINTED.items() for form in forms]
)
@pytest.mark.parametrize("secret", ["hunter2", "hu'nter\" hunter2, $x"])
def test_what_is_printed_stays_whole_and_hides_all_of_a_secret(capsys, place, form, secret):
    job = ["--hp", f"api_key={secret}", "depth=2"]
    where = ["--image", "i", "--output", OUTPUT.get(place, "gs://bucket/runs")]
    argv = ["--to", place, *where, "--env", f"MY_TOKEN={secret}", "A=-5", "--print", form]
    code, out, err = run(capsys, *argv, "--", "--train", "s3://bucket/mnist", *job)
    assert code == 0, err
    check_syntax(form, out)
    assert not [part for part in ("hunter2", "'nter", 'nter"', 'nter\\"') if part in out + err]
    assert "MY_TOKEN" in out
    assert "depth" in out
