"""Jobs of all kinds that are given secrets of all kinds: what the trainer writes shows none."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from trainer.cli import command_line, container, entry
from trainer.config.job import Job
from trainer.launch.launcher import launch
from trainer.launch.supervise.api import Command
from trainer.runtime import output
from trainer.sagemaker import fetch
from trainer.serving.http.endpoint import RequestContext
from trainer.serving.models.version import Version
from trainer.serving.user_code.handlers import Handlers

AZURE = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=core"
GCP = {
    "type": "service_account",
    "private_key_id": "kqz0123456789abcdef",
    "private_key": "-----BEGIN PRIVATE KEY-----\nkqzAAAA1\nkqzBBBB2=\n-----END PRIVATE KEY-----\n",
}
# Each holds `kqz`, or the same in base64; names give away no more than they do in real jobs.
NEEDLES = {
    "SLACK": "https://hooks.slack.com/services/T00000000/B00000000/kqzSLACK0000000000000001",
    "TEAMS": "https://acme.webhook.office.com/webhookb2/kqz1@kqz2/IncomingWebhook/kqz3/kqz4",
    "DISCORD": "https://discord.com/api/webhooks/123456789012345678/kqz_abcdefghijklmnop",
    "NOTIFY_WEBHOOK": "https://ci.example.com/notify/kqz-0123456789abcdef",
    "npm_config__auth": "a3F6Omtxemtxemtxeg==",
    "NPMRC": "//registry.example.com/:_authToken=kqz-npm-0001",
    "PIP_INDEX_URL": "https://robot:kqz-pip-0001@pypi.example.com/simple",
    "PIP_EXTRA_INDEX_URL": "https://kqz-pip-token-2@pypi.example.com/simple",
    "NETRC": "machine example.com login me password kqz-netrc-1",
    "DATABASE_URL": "postgresql+psycopg2://me:kqz/pg@1x@db:5432/runs",
    "MONGO": "mongodb+srv://me:kqz-mongo-1@cluster0.example.net/?retryWrites=true",
    "CACHE": "redis://:kqz-redis-1@cache:6379/0",
    "AZURE_STORAGE_CONNECTION_STRING": AZURE.format("kqz+/azure0123456789=="),
    "BUS": "Endpoint=sb://acme.example.net/;SharedAccessKeyName=a;SharedAccessKey=kqz-bus-01=",
    "WAREHOUSE": "jdbc:sqlserver://db:1433;user=sa;password=kqz jdbc 1;encrypt=true",
    "BLOB": "https://acme.blob.example.net/c/b?sv=2022-11-02&sr=b&sig=kqz%2Fsas%3D",
    "PRESIGNED": "https://b.s3.example.com/k?X-Amz-Credential=kqz%2F1&X-Amz-Signature=kqz0123abcd",
    "GCP_KEY": json.dumps(GCP),
    "AWS_SECRET_ACCESS_KEY": "kqz/aws+secret/0123456789abcdefghijklmnop",
    "GITHUB": "ghp_kqzabcdefghijklmnopqrstuvwxyz012345",
    "HF_TOKEN": "kqz-hf-0123456789",
    "WANDB_API_KEY": "kqz0123456789abcdef0123456789abcdef012345",
}
LEAK = re.compile("kqz|a3F6")
PARAMETERS = {"db_password": "kqz-hp-password", "api-key": "kqz-hp-key-01", "width": "32"}
# What an error of a user's may say: all there is, in every form in which it is met.
SHOUT = """
import json, os, urllib.parse
NAMES = os.environ["NAMES"].split()
SECRETS = {n: os.environ[n] for n in NAMES}
def shout(more=""):
    urls = [v.partition("://")[2].partition("/")[2] for v in SECRETS.values() if "hook" in v]
    texts = [*SECRETS.values(), json.dumps(SECRETS), repr(SECRETS), json.dumps(json.dumps(SECRETS))]
    texts += [urllib.parse.quote(v, safe="") for n, v in SECRETS.items()]
    texts += [f"{n}={v}" for n, v in SECRETS.items()]
    texts += [f"Max retries exceeded with url: /{u} (Caused by ...)" for u in urls]
    raise RuntimeError("width=32 is ordinary " + " ~ ".join([more, *texts]))
"""
MODULE = (
    SHOUT
    + """
import keras, numpy as np, tensorflow as tf
from trainer.models.mnist import serving_input_fn, serving_samples
def keras_model(hparams):
    WHERE == "keras_model" and shout(repr(hparams) + json.dumps(dict(hparams.hp)))
    image = keras.Input((28, 28, 1), name="image_input")
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(image)), name="tiny")
def input_fn(paths, mode, batch_size, shard):
    WHERE == "input_fn" and shout(repr(paths))
    data = tf.data.Dataset.from_tensor_slices(
        (np.zeros((8, 28, 28, 1), np.float32), np.zeros(8, np.int64)))
    return data.repeat().batch(batch_size) if mode == "train" else data.batch(batch_size)
"""
)


@dataclass(frozen=True)
class Box:
    """Where a job runs.

    Attributes:
        given: What a user brings; not looked into.
        out: What the trainer writes.
    """

    given: Path
    out: Path

    def put(self, name: str, text: str) -> str:
        """Write a file of the user's; return its path."""
        path = self.given / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def train(self, *argv: str) -> int:
        """Run the built-in model on nothing much."""
        return command_line.main(["train", "--model-dir", str(self.out / "model"), *argv])

    def module(self, name: str, *argv: str, where: str = "") -> int:
        """Run a user's module that fails at a place, or nowhere."""
        self.put(f"{name}.py", MODULE.replace("WHERE", repr(where)))
        hp = [f"{key}={value}" for key, value in PARAMETERS.items()]
        argv = ("--module", name, "--steps", "1", "--batch-size", "4", "--hp", *hp, *argv)
        return self.train(*argv)

    def sagemaker(self, **parameters: str) -> None:
        """Lay out /opt/ml; the hyperparameters have secrets of their own."""
        base, config = self.out / "ml", self.out / "ml/input/config"
        os.environ |= {"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "a-job"}
        for folder in ("input/data/training", "model", "output"):
            (base / folder).mkdir(parents=True)
        config.mkdir()
        for name, content in {
            "hyperparameters": PARAMETERS | parameters,
            "inputdataconfig": {"training": {}},
            "resourceconfig": {
                "current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"
            },
        }.items():  # fmt: skip
            (config / f"{name}.json").write_text(json.dumps(content))

    def script(self, text: str, **files: str) -> int:
        """Run a user's script as SageMaker does."""
        self.put("code/train.py", text)
        for name, content in files.items():
            self.put(f"code/{name}.txt", content)
        self.sagemaker(
            sagemaker_program="train.py", sagemaker_submit_directory=str(self.given / "code")
        )
        code = entry.main([])
        # What the service and the user themselves have written.
        shutil.rmtree(self.out / "ml/input")
        shutil.rmtree(self.out / "ml/code", ignore_errors=True)
        return code


def url(name: str) -> str:
    return NEEDLES[name]


def platform(box: Box) -> None:
    """Variables of AI Platform and Vertex AI."""
    cluster = {"cluster": {"chief": ["a:2222"]}, "task": {"type": "chief", "index": 0}}
    os.environ["TF_CONFIG"] = json.dumps(cluster | {"environment": PARAMETERS})
    os.environ["CLOUD_ML_JOB_ID"] = "job"


def sagemaker_variables(box: Box) -> None:
    os.environ |= {"SM_MODEL_DIR": str(box.out / "model"), "SM_HPS": json.dumps(PARAMETERS)}
    os.environ["SM_TRAINING_ENV"] = json.dumps({"hyperparameters": PARAMETERS})


def after(prepare: Callable[[Box], None], *argv: str) -> Callable[[Box], int]:
    def job(box: Box) -> int:
        prepare(box)
        return command_line.main(argv)

    return job


def in_mode(text: str) -> Callable[[Box], int]:
    def job(box: Box) -> int:
        box.sagemaker(steps=text)
        code = entry.main([])
        shutil.rmtree(box.out / "ml/input")
        return code

    return job


def ranks(box: Box) -> int:
    pair = Job(distribution="multi_worker_mirrored", processes_per_host=2)
    argv = ("python3", "-S", "-c", f"{SHOUT}\nshout()")
    return launch(pair, Command(argv=argv, env=dict(os.environ), name="trainer")).code


def handler(box: Box) -> int:
    output.begin(os.environ)
    box.put("inference.py", f"{SHOUT}\ndef handler(data, context): shout()")
    nothing: Any = None
    context = RequestContext(
        Request({"type": "http", "method": "POST", "path": "/", "headers": []})
    )
    handlers = Handlers(predictor=nothing, port=1, max_queue=1)
    box.put("code/inference.py", f"{SHOUT}\ndef handler(data, context): shout()")
    handlers.load(box.given)
    user = handlers.of("model")
    assert user is not None
    answer = asyncio.run(user.respond(context, Version("model", 1, nothing, nothing), b""))
    (box.out / "answer").write_bytes(bytes(answer.body))
    return answer.status_code


def run_of(box: Box) -> str:
    """The folder of a run whose parameters have secrets that no trainer had masked."""
    record = {"model": "own", "steps": 1, "hparams": {"model": "own", "hp": [*PARAMETERS.items()]}}
    return str(Path(box.put("run/metrics.json", json.dumps(record))).parent)


HP = tuple(f"{key}={value}" for key, value in PARAMETERS.items())
OWN = ("--module", "own", "--hp", *HP)
# What runs, and the exit code (that of doctor is the machine's); `(*)` where a script's own lines
# are there too.
JOBS: dict[str, tuple[Callable[[Box], int], int | None]] = {
    "dry run": (lambda box: box.train("--dry-run", *OWN), 0),
    "dry run as JSON": (lambda box: box.train("--dry-run", "--json", *OWN), 0),
    "dry run, SageMaker": (after(sagemaker_variables, "train", "--dry-run", *OWN), 0),
    "dry run, Vertex": (after(platform, "train", "--dry-run", *OWN), 0),
    "dry run, ranks": (
        lambda box: box.train("--dry-run", *OWN, "--distribution", "multi_worker_mirrored",
                              "--processes-per-host", "2"), 0,
    ),
    "dry run, own flags": (
        lambda box: box.train("--dry-run", "--module", "own", "--api-token", "kqz-flag-1",
                              "--db-url", url("DATABASE_URL")), 0,
    ),
    "doctor": (lambda box: command_line.main(["doctor", *OWN, "--train", url("BLOB")]), None),
    "doctor as JSON": (lambda box: command_line.main(["doctor", "--json", *OWN]), None),
    "doctor, SageMaker": (after(sagemaker_variables, "doctor", *OWN), None),
    "doctor, Vertex": (after(platform, "doctor", *OWN), None),
    "a flag": (lambda box: box.train("--steps", url("CACHE")), 2),
    "a flag, debug": (lambda box: box.train("--steps", url("CACHE"), "--debug"), 2),
    "an unknown flag": (lambda box: box.train("--db-password", "kqz-flag-1"), 2),
    "an unknown flag's value": (lambda box: box.train("--x", url("SLACK")), 2),
    "hp without =": (lambda box: box.train("--hp", "db_password:kqz-hp-password"), 2),
    "data at an address": (lambda box: box.train("--train", url("PRESIGNED"), "--debug"), 2),
    "data in a store": (lambda box: box.train("--train", "s3://me:kqz-s3-1@bucket/x"), 2),
    "checkpoints at an address": (lambda box: box.train("--checkpoint-dir", url("BLOB")), 2),
    "a folder that is none": (
        lambda box: box.train("--output-dir", f"{box.put('file', '')}/{NEEDLES['GITHUB']}"), 2,
    ),
    "data create": (
        lambda box: command_line.main(["data", "create", "--out", str(box.out / "data"), "--source",
                              url("PRESIGNED"), "--debug"]), 2,
    ),
    "data inspect": (
        lambda box: command_line.main(["data", "inspect", url("PRESIGNED"), "--debug"]), 2,
    ),
    "data mnist": (
        lambda box: command_line.main(["data", "mnist", "--out", str(box.out / "data"), "--mirror",
                              "http://me:kqz-mirror-1@127.0.0.1:9/x?sig=kqz-sig"]), 2,
    ),
    "data sync": (
        lambda box: command_line.main(["data", "sync", url("PRESIGNED"), str(box.out / "data"),
                              "--debug"]), 2,
    ),
    "data sync to a store": (
        lambda box: command_line.main(["data", "sync", str(box.out), "s3://me:kqz-s3-1@bucket/x"]),
        2,
    ),
    "package": (
        lambda box: command_line.main(
            ["package", "--source", url("MONGO"), "--out", "x.tar.gz"]
        ), 2,
    ),
    "inspect, debug": (
        lambda box: command_line.main(["package", "--debug", "--inspect",
                              box.put(f"{NEEDLES['HF_TOKEN']}.tar.gz", "x")]), 2,
    ),
    "serve": (
        lambda box: command_line.main(["serve", "--model-dir", f"/no/{NEEDLES['HF_TOKEN']}"]), 2,
    ),
    "serve, debug": (
        lambda box: command_line.main(["serve", "--debug", "--model-dir", url("PIP_INDEX_URL")]), 2,
    ),
    "report": (lambda box: command_line.main(["report", url("PRESIGNED"), "--debug"]), 2),
    "report to an address": (
        lambda box: command_line.main(["report", run_of(box), "--out", url("BLOB")]), 2,
    ),
    "report to a server": (
        lambda box: command_line.main(["report", run_of(box), "--debug", "--to-mlflow",
                              "http://me:kqz-mlflow-1@127.0.0.1:9/x?sig=kqz-sig"]), 2,
    ),
    "export": (
        lambda box: command_line.main(["export", "--checkpoint", url("BLOB"), "--model-dir",
                              str(box.out / "model"), "--hp", *HP, "--debug"]), 2,
    ),
    "sweep": (
        lambda box: command_line.main(["sweep", "--out", str(box.out / "sweep"), "--trials", "1",
                              "--train", url("PRESIGNED"), "--dropout", "0..0.5"]), 1,
    ),
    "sweep, own": (
        lambda box: command_line.main(["sweep", "--out", str(box.out / "sweep"), "--trials", "1",
                              *OWN, "--dropout", "0..0.5"]), 1,
    ),
    "sweep as a tuning job": (
        lambda box: command_line.main(["sweep", "--print", "sagemaker", *OWN,
                              "--dropout", "0..0.5"]), 0,
    ),
    "no such program": (lambda box: container.main(["entry", f"x-{NEEDLES['GITHUB']}"]), 127),
    "a user's handler": (handler, 500),
    "fetch": (lambda box: fetch.main(f"s3://b/k?sig={NEEDLES['HF_TOKEN']}", "/nowhere/x"), 1),
    "success": (
        lambda box: box.module("well", "--output-dir", str(box.out), "--log-dir",
                               str(box.out / "logs"), "--checkpoint-dir", str(box.out / "c")), 0,
    ),
    "a user's model": (lambda box: box.module("model", where="keras_model"), 2),
    "a user's model, debug": (lambda box: box.module("again", "--debug", where="keras_model"), 2),
    "a user's data": (lambda box: box.module("data", "--debug", where="input_fn"), 2),
    "ranks (*)": (ranks, 1),
    "script (*)": (lambda box: box.script(f"{SHOUT}\nshout()"), 1),
    "script that exits (*)": (
        lambda box: box.script(f"import sys\n{SHOUT}\nsys.exit(' '.join(SECRETS.values()))"), 1,
    ),
    "requirements (*)": (
        lambda box: box.script("", requirements=f"--index-url {url('PIP_INDEX_URL')}\nx-kqz @ "
                               "https://me:kqz-req-1@127.0.0.1:9/x.whl"), 2,
    ),
    "a hyperparameter": (in_mode(url("WAREHOUSE")), 2),
}  # fmt: skip


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    for name, value in NEEDLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NAMES", " ".join(NEEDLES))
    monkeypatch.setenv("PIP_RETRIES", "0")
    made = Box(given=tmp_path / "given", out=tmp_path / "out")
    for folder in (made.given, made.out):
        folder.mkdir()
    monkeypatch.syspath_prepend(made.given)
    monkeypatch.chdir(made.out)
    return made


@pytest.mark.parametrize("name", JOBS)
def test_no_secret_is_in_anything_that_the_trainer_writes(name, box: Box, capfd):
    job, expected = JOBS[name]
    code = job(box)
    streams = capfd.readouterr()
    assert code == expected or expected is None, streams.err
    lines = [*streams.out.splitlines(), *streams.err.splitlines()]
    if "(*)" in name:
        # The user's own lines are the user's.
        assert name.startswith("requirements") or any(LEAK.search(line) for line in lines)
        lines = [line for line in lines if line.startswith("trainer:")]
    files = [path for path in box.out.rglob("*") if path.is_file()]
    written = {str(path): path.read_bytes().decode(errors="replace") for path in files}
    written |= {str(path.relative_to(box.out)): "" for path in box.out.rglob("*")}
    found = [line for line in lines if LEAK.search(line)]
    found += [f"{path}: {text}" for path, text in written.items() if LEAK.search(f"{path} {text}")]
    assert found == []
    assert lines or written


def test_what_is_no_secret_is_shown(box: Box, capfd):
    assert box.module("shown", "--output-dir", str(box.out)) == 0
    hp = json.loads((box.out / "metrics.json").read_text())["hparams"]["hp"]
    assert dict(hp) == {"db_password": "***", "api-key": "***", "width": "32"}
    assert box.module("model", where="keras_model") == 2
    line = "trainer: error: keras_model of model: RuntimeError: width=32 is ordinary"
    assert line in capfd.readouterr().err
    assert box.script(f"{SHOUT}\nshout()") == 1
    failure = (box.out / "ml/output/failure").read_text()
    assert failure.startswith("RuntimeError: width=32 is ordinary")
    assert failure.endswith("user script ended with exit code 1\nhost algo-1")


@pytest.mark.parametrize(
    "argv",
    [
        ["train", "--steps", "x"],
        ["train", "--train", "/nowhere"],
        ["train", "--module", "no_such_module"],
        ["train", "--train", "s3://bucket/x", "--model-dir", "gs:/x"],
        ["doctor", "--steps", "0"],
        ["serve", "--model-dir", "/nowhere"],
        ["serve", "--port", "x"],
        ["package", "--inspect", "/nowhere"],
        ["package", "--source", "/nowhere", "--out", "x"],
        ["data", "create", "--out", "/dev/null/x"],
        ["data", "mnist", "--out", "x", "--timeout", "0"],
        ["trane"],
    ],
    ids=" ".join,
)
def test_debug_adds_a_traceback_and_changes_no_exit_code(argv, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code = command_line.main(argv)
    plain = capfd.readouterr()
    assert code != 0
    assert "Traceback" not in plain.err
    assert command_line.main([*argv, "--debug"]) == code
    shown = capfd.readouterr()
    assert shown.err.splitlines()[-1:] == plain.err.splitlines()[-1:]
