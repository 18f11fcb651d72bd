import json
import shlex
from pathlib import Path

from hypothesis import given, strategies as st

from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.doctor import dry_run
from trainer.launch.supervise.command import Command
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
from trainer.runtime.secrets.mask import MASK

HOSTS = '["algo-1", "algo-2"]'


def sagemaker(tmp_path, **more):
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "x.tfrecord").write_bytes(b"")
    return {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_CHANNEL_TRAIN": str(tmp_path / "data"),
        "SM_HOSTS": HOSTS,
        "SM_CURRENT_HOST": "algo-2",
        **more,
    }


def preview(env, flags=(), commands=(), root=Path("/nowhere")):
    resolved = resolve_job(Environment(env=env, root=root), dict(flags))
    return dry_run.as_dict(resolved, commands=commands, env=env)


def test_every_field_is_there_with_its_value_and_its_source():
    job = preview({}, {"batch_size": 32, "module": "trainer.model"})["job"]
    names = {f for part in (Job, Hparams) for f in part.__dataclass_fields__}
    # The data says which shape its images have.
    assert set(job) == names - {"hparams", "input_shape"}
    assert job["batch_size"] == {"value": 32, "from": "--batch-size"}
    assert job["learning_rate"] == {"value": 0.006, "from": "recipe cnn"}
    assert job["epochs"] == {"value": 1.0, "from": "recipe cnn"}
    assert job["momentum"] == {"value": 0.9, "from": "default"}
    assert job["precision"] == {"value": "by device", "from": "default"}
    assert job["platform"]["value"] == "local"


def test_what_was_asked_for_is_not_the_recipes():
    job = preview({}, {"steps": 10, "precision": "float32", "model": "fast"})["job"]
    assert job["steps"] == {"value": 10, "from": "--steps"}
    assert job["epochs"]["value"] is None
    assert job["precision"] == {"value": "float32", "from": "--precision"}
    assert job["batch_size"] == {"value": 128, "from": "recipe fast"}


def test_a_modules_own_recipe_and_neutral_defaults_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dry_model.py").write_text('RECIPE = {"batch_size": 7, "steps": 50}')
    job = preview({}, {"module": "dry_model", "optimizer": "sgd"})["job"]
    assert job["batch_size"] == {"value": 7, "from": "recipe dry_model"}
    assert job["steps"] == {"value": 50, "from": "recipe dry_model"}
    assert job["learning_rate"] == {"value": 0.001, "from": "neutral default"}
    assert job["optimizer"] == {"value": "sgd", "from": "--optimizer"}
    assert job["epochs"]["value"] is None


def test_what_a_platform_says_is_named_by_its_variable(tmp_path):
    env = sagemaker(tmp_path, SM_HPS='{"learning-rate": "0.1"}')
    got = preview(env, root=tmp_path)
    job = got["job"]
    assert got["platform"] == "sagemaker"
    assert job["train"] == {"value": [str(tmp_path / "data")], "from": "SM_CHANNEL_TRAIN"}
    assert job["learning_rate"]["value"] == 0.1
    assert job["learning_rate"]["from"].startswith("hyperparameter learning")
    assert job["cluster"]["value"]["role"] == "worker"
    assert job["cluster"]["value"]["chief"] == ["algo-1"]
    assert job["cluster"]["from"] == "SM_HOSTS"
    assert job["failure_file"]["from"] == "/opt/ml/output/failure" or job["failure_file"]["from"]
    assert job["grace"]["from"] == "platform sagemaker"


def test_processes_have_what_differs_and_what_the_platform_sets(tmp_path):
    env = sagemaker(tmp_path, HOME="/root", LEFT="out")
    own = {k: v for k, v in env.items() if k != "LEFT"} | {"HOROVOD_RANK": "1"}
    command = Command(name="rank 1", argv=("python", "-m", "x y"), env=own, cwd=Path("/work"))
    (process,) = preview(env, commands=[command], root=tmp_path)["processes"]
    assert process["name"] == "rank 1"
    assert process["argv"] == ["python", "-m", "x y"]
    assert process["cwd"] == "/work"
    assert process["without"] == ["LEFT"]
    assert set(process["env"]) == {
        "HOROVOD_RANK", "SM_MODEL_DIR", "SM_CHANNEL_TRAIN", "SM_HOSTS", "SM_CURRENT_HOST",
    }  # fmt: skip


def test_the_text_says_the_same_and_can_be_pasted_into_a_shell():
    command = Command(name="rank 0", argv=("python", "-c", "print('a b')"), env={"A": "b c"})
    resolved = resolve_job(Environment(env={}), {})
    text = dry_run.describe(resolved, commands=[command], env={"B": "1"})
    lines = text.splitlines()
    assert "  batch_size = 64  (recipe cnn)" in lines
    assert "process rank 0:" in lines
    assert "  A='b c'" in lines
    assert "  without B" in lines
    assert shlex.split(lines[-1]) == ["$", "python", "-c", "print('a b')"]
    assert dry_run.describe(resolved, commands=[command], env={"B": "1"}) == text


def test_without_processes_it_says_so():
    assert dry_run.describe(resolve_job(Environment(env={}), {}), commands=()).endswith(
        "none beside this one"
    )


@given(st.text(min_size=1, max_size=30).map(lambda text: f"Q7z{text}Zq7"))
def test_no_secret_is_printed(secret):
    hidden = {"db_password": secret, "lr": 1}
    env = {"AWS_SECRET_ACCESS_KEY": secret, "TF_CONFIG": json.dumps({"environment": hidden})}
    child = env | {"SM_HPS": json.dumps(hidden), "API_TOKEN": secret, "PLAIN": f"as {secret} is"}
    argv = ("python", "--hp", f"api_key={secret}", "--token", secret, f"--password={secret}")
    command = Command(
        name="rank 0", argv=argv, env=child, cwd=Path("/x") / secret.replace("\0", "")
    )
    flags = {"hp": (("api_key", secret), ("note", f"<{secret}>")), "module": "my.model"}
    flags["model_dir"] = f"/models/{secret}"
    resolved = resolve_job(Environment(env=env, root=Path("/nowhere")), flags)
    got = dry_run.as_dict(resolved, commands=[command], env=env)
    text = dry_run.describe(resolved, commands=[command], env=env)
    for shown in (text, json.dumps(got), json.dumps(got, ensure_ascii=False), repr(got)):
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown
    assert got["job"]["hp"]["value"]["api_key"] == MASK
