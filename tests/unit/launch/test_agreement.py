import dataclasses
import json

import pytest

from trainer.config.cluster import Cluster
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of, options_of
from trainer.launch import plan
from trainer.launch.agreement import ALIKE, BY_CONTENT, FROM_DATA, GROUPS, PER_HOST, settings_of
from trainer.launch.differences import difference
from trainer.launch.host_settings import HostSettings, public_value

EQUALS = {"chief": ("a:1",), "worker": ("b:1",)}
SERVED = {**EQUALS, "ps": ("c:1",), "evaluator": ("d:1",)}
# Another value for each field that all hosts must have alike.
OTHER = {
    "model": "fast", "dropout": 0.1, "batch_size": 100, "optimizer": "sgd", "learning_rate": 1.0,
    "schedule": "constant", "warmup": 0.5, "momentum": 0.5, "beta_1": 0.5, "beta_2": 0.5,
    "epsilon": 1e-3, "weight_decay": 0.1, "label_smoothing": 0.2, "seed": 7, "steps": 40,
    "epochs": 3.0, "target_accuracy": 0.9, "eval_every": 5, "checkpoint_every": 5, "log_every": 5,
    "steps_per_call": 5, "keep": 9, "metric": "loss:min", "early_stop": "3",
    "validation_split": 0.1, "restarts": 9, "cache_mb": 1.0, "skip_corrupt": 1,
    "eval_batch_size": 10, "shard_by": "record", "distribution": "multi_worker_mirrored",
    "scaling": "linear", "scaling_epochs": 1.0, "compression": "fp16", "autotune": True,
    "deterministic": False, "import_model": True, "profile": "2:3", "image_size": "9,9",
    "pixel_range": "0,1", "feature": ("label=digit",), "classes": "11",
}  # fmt: skip
# And one for each that may differ.
OWN = {
    "input": "/elsewhere", "job_dir": "/elsewhere", "model_dir": "/elsewhere", "layout": "flat",
    "output_dir": "/elsewhere", "checkpoint_dir": "/elsewhere", "log_dir": "/elsewhere",
    "timeline": "/elsewhere", "autotune_log": "/elsewhere", "failure_file": "/elsewhere",
    "threads": 3, "processes_per_host": 5, "verbosity": "DEBUG", "platform": "sagemaker",
    "trial": None, "stopped_code": 0, "grace": 1.0, "launched": True, "port": 9999,
    "start_timeout": 1.0, "late_evaluators": True, "secret": "x", "device": "cpu",
    "gpu_expected": "/dev/nvidia0", "mlflow_uri": "http://x", "mlflow_experiment": "x",
    "mlflow_run": "x", "log_format": "json", "report": False,
}  # fmt: skip


def state(
    role="chief", *, cluster=None, distribution="horovod", hparams=None, **fields
) -> HostSettings:
    """What a host states, as it arrives at another."""
    cluster = Cluster(role=role, **(cluster or EQUALS))
    job = Job(
        cluster=cluster, distribution=distribution, hparams=Hparams(**(hparams or {})), **fields
    )
    member = plan.this_host(job.cluster)
    found = settings_of(job, member, name=member.host, env={})
    return HostSettings.from_dict(json.loads(json.dumps(found.to_dict())))


def against(**fields) -> str | None:
    """Why a worker with these fields cannot take part in the job of a plain chief."""
    names = options_of(Hparams)
    hparams = {name: value for name, value in fields.items() if name in names}
    others = {name: value for name, value in fields.items() if name not in names}
    return difference([state(), state("worker", hparams=hparams, **others)])


def test_every_field_is_compared_or_may_differ_by_decision():
    fields = [f.name for part in (Hparams, Job) for f in dataclasses.fields(part)]
    assert sorted([*ALIKE, *BY_CONTENT, *PER_HOST, *FROM_DATA, *GROUPS]) == sorted(fields)
    assert sorted(OTHER) == sorted(ALIKE)
    assert sorted(OWN) == sorted(PER_HOST)


@pytest.mark.parametrize("name", ALIKE)
def test_a_field_that_must_be_alike_is_named_with_values_and_hosts(name):
    reason = against(**{name: OTHER[name]})
    assert reason is not None
    assert flag_of(name) in reason
    assert public_value(OTHER[name]).text + " on host b (worker 0), " in reason
    assert "on host a (chief 0)" in reason
    assert reason.endswith("; set the same on all hosts")


@pytest.mark.parametrize("name", PER_HOST)
def test_a_field_of_the_hosts_own_may_differ(name):
    assert against(**{name: OWN[name]}) is None


def test_a_default_that_is_spelled_out_is_the_default():
    recipe = {"batch_size": 64, "learning_rate": 0.006, "dropout": 0.4, "seed": 0, "momentum": 0.9}
    assert against(**recipe, epochs=1, cache_mb=1024.0, eval_batch_size=1000) is None


def test_of_another_model_the_recipe_is_not_named_as_well():
    assert against(model="fast") == (
        "--model: fast on host b (worker 0), cnn on host a (chief 0); set the same on all hosts"
    )


def test_of_another_module_only_what_its_recipe_does_not_set_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'RECIPE = {"batch_size": 7, "learning_rate": 0.1}\ndef input_fn(paths): ...'
    (tmp_path / "agreed_model.py").write_text(text)
    assert (against(module="agreed_model", seed=3) or "").startswith(
        "--seed: 3 on host b (worker 0), 0 on host a (chief 0); --module: agreed_model (1 source "
        "file) on host b (worker 0), trainer.model on host a (chief 0); --train: none given "
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        ({"rate": "2"}, {"rate": "1"}, "--hp rate: 2 on host b (worker 0), 1 on host a (chief 0)"),
        ({}, {"rate": "1"}, "--hp rate: not given on host b (worker 0), 1 on host a (chief 0)"),
        ({"b": "2", "a": "1"}, {"a": "1", "b": "2"}, None),
    ],
)
def test_hyperparameters_of_a_module_are_compared_one_by_one(mine, theirs, reason):
    chief = state(hparams={"hp": tuple(theirs.items())})
    worker = state("worker", hparams={"hp": tuple(mine.items())})
    assert difference([chief, worker]) == (reason and f"{reason}; set the same on all hosts")


def test_a_secret_is_compared_but_neither_sent_nor_printed():
    chief, worker = (
        state(role, hparams={"hp": (("api_token", secret), ("url", f"ftp://me:{secret}@host/"))})
        for role, secret in (("chief", "swordfish-1"), ("worker", "swordfish-2"))
    )
    assert "swordfish" not in json.dumps([chief.to_dict(), worker.to_dict()])
    assert difference([chief, worker]) == (
        "--hp api_token: *** on host b (worker 0), another *** on host a (chief 0); "
        "--hp url: ftp://***@host/ on host b (worker 0), another ftp://***@host/ on host a "
        "(chief 0); set the same on all hosts"
    )
    assert difference([chief, chief]) is None


def test_of_a_long_value_a_secret_that_is_cut_off_is_masked_as_a_whole():
    url = f"{'x' * 80}?redirect=ftp://me:swordfish-and-more@host/"
    found = state(hparams={"hp": (("where", url),)})
    assert "swordfish" not in json.dumps(found.to_dict())


def test_a_file_url_is_a_local_path(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "x.tfrecord").write_bytes(b"x")
    chief, worker = state(train=(str(tmp_path),)), state("worker", train=(f"file://{tmp_path}",))
    assert chief.values["--test"].text == "1 file, 1 bytes"
    assert difference([chief, worker]) is None


@pytest.mark.parametrize("module", [Job.module, "mine"])
def test_what_cannot_be_looked_at_is_named(tmp_path, module):
    (tmp_path / "x.tfrecord").symlink_to(tmp_path / "nowhere")
    worker = state("worker", train=(str(tmp_path),), module=module)
    assert "a link that leads nowhere" in str(difference([state(module=module), worker]))


@pytest.mark.parametrize("distribution", ["horovod", "multi_worker_mirrored"])
def test_a_host_with_a_gpu_does_not_sum_gradients_with_one_without(distribution):
    chief = state(distribution=distribution, gpus=1, hparams={"precision": "float32"})
    worker = state("worker", distribution=distribution, hparams={"precision": "float32"})
    assert "GPUs for each process: 0 on host b" in (difference([chief, worker]) or "")


def test_hosts_may_have_other_numbers_of_gpus_where_each_has_processes_for_them():
    chief, worker = (
        state(role, gpus=gpus, hparams={"precision": "float32"})
        for role, gpus in (("chief", 8), ("worker", 4))
    )
    assert difference([chief, worker]) is None


def test_a_list_of_other_hosts_is_named():
    three = {"chief": ("a:1",), "worker": ("b:1", "c:1")}
    reason = difference([state(), state("worker", cluster=three)])
    assert reason and "hosts that train: 3 on host b (worker 0), 2 on host a (chief 0)" in reason


def test_a_list_with_another_port_is_named_as_nobody_would_answer_there():
    more = {"distribution": "multi_worker_mirrored"}
    worker = state("worker", cluster={"chief": ("localhost:1",), "worker": ("b:2",)}, **more)
    assert difference([state(**more), worker]) == (
        "ports of the hosts: 1 2 on host b (worker 0), 1 1 on host a (chief 0), the first that "
        "differs is worker 0; set the same on all hosts"
    )


def test_a_parameter_server_needs_but_the_way_to_share_the_work():
    more = {"cluster": SERVED, "distribution": "parameter_server"}
    chief = state(**more, train=("/nowhere",), test=("/nowhere",), hparams={"batch_size": 100})
    assert difference([dataclasses.replace(chief, problem=None), state("ps", **more)]) is None
    other = state("ps", **(more | {"cluster": {**SERVED, "ps": ("c:1", "e:1")}}))
    assert "parameter servers: 2 on host c (ps 0)" in (difference([state(**more), other]) or "")


def test_who_evaluates_needs_test_data_and_who_works_training_data(tmp_path):
    more = {"cluster": SERVED, "distribution": "parameter_server"}
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "x.tfrecord").write_bytes(split.encode())
    train, test = ((str(tmp_path / split),) for split in ("train", "test"))
    chief = state(**more, train=train, test=test)
    evaluator = state("evaluator", **more, test=test)
    worker = state("worker", **more, train=train, test=("/nowhere",))
    assert difference([chief, evaluator, worker]) is None
    assert evaluator.values["--train"] is None
    assert worker.values["--test"] is None
    missing = state("evaluator", **more, train=train, test=("/nowhere",))
    assert (difference([chief, missing]) or "").startswith("--test /nowhere: does not exist")


def test_workers_of_parameter_servers_need_the_data_where_the_chief_has_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.tfrecord").write_bytes(b"same")
    more = {"cluster": SERVED, "test": ()}
    for distribution, fits in (("horovod", True), ("parameter_server", False)):
        if distribution == "horovod":
            more["cluster"] = EQUALS
        else:
            more["cluster"] = SERVED
        chief, worker = (
            state(
                role,
                **{**more, "test": (str(tmp_path / name),)},
                distribution=distribution,
                train=(str(tmp_path / name),),
            )
            for role, name in (("chief", "one"), ("worker", "two"))
        )
        reason = difference([chief, worker])
        assert (reason is None) == fits
    assert f"--train: 1 file, 4 bytes at {tmp_path}/two on host b (worker 0)" in str(reason)


def test_a_host_that_is_alone_states_nothing():
    job = Job(distribution="horovod", train=("/nowhere",))
    found = settings_of(job, plan.this_host(job.cluster), name="a", env={})
    assert (dict(found.values), found.problem) == ({}, None)


@pytest.mark.parametrize(
    "fields", [{"values": {"x": 1}}, {"values": [1]}, {"host": 3}, {"values": {3: None}}]
)
def test_what_is_no_statement_is_refused(fields):
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        HostSettings.from_dict(fields)


def test_what_another_host_states_is_one_short_line():
    found = HostSettings.from_dict(
        {"host": "a\x1b[2J\nb" + "c" * 1000, "values": {}, "problem": "x\ny" * 4000}
    )
    assert found.host.startswith(r"a\x1b[2J\nb")
    assert len(found.host) < 200
    assert found.problem is not None
    assert len(found.problem) < 2000
    assert found.problem.isprintable()
