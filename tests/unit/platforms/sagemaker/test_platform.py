import importlib.util
import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.platforms.base import Environment
from trainer.platforms.resolve import ResolvedJob, resolve_job
from trainer.platforms.sagemaker import files as sagemaker_files, platform

HOSTS = ["algo-1", "algo-10", "algo-2"]


def resolved(environment: Environment, *argv: str) -> ResolvedJob:
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    return resolve_job(environment, vars(parser.parse_args(argv)))


def mistake(environment: Environment, *argv: str) -> str:
    with pytest.raises(UserError) as error:
        resolved(environment, *argv)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def root(tmp_path) -> Path:
    for folder in ("model", "input/config", "output/data"):
        (tmp_path / "opt/ml" / folder).mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").mkdir(parents=True)
    return tmp_path


def fill(root: Path, *channels: str) -> None:
    for channel in channels:
        folder = root / "opt/ml/input/data" / channel
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").touch()


def variables(root: Path, *channels: str, **more: Any) -> Environment:
    """The SM_ variables that the toolkit makes, and the folders of some channels."""
    fill(root, *channels)
    env = {
        "SM_MODEL_DIR": str(root / "opt/ml/model"),
        "SM_OUTPUT_DATA_DIR": str(root / "opt/ml/output/data"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "TRAINING_JOB_NAME": "job",
        **{f"SM_CHANNEL_{c.upper()}": str(root / "opt/ml/input/data" / c) for c in channels},
        **{k: v if isinstance(v, str) else json.dumps(v) for k, v in more.items()},
    }
    return Environment(env=env, root=root)


def files(
    root: Path, *channels: str, hyperparameters: Any = None, resources: Any = None
) -> Environment:
    """What SageMaker itself gives: the three files and the name of the job."""
    fill(root, *channels)
    config = root / "opt/ml/input/config"
    files_by_name = {
        "hyperparameters": hyperparameters or {},
        "inputdataconfig": {channel: {"TrainingInputMode": "File"} for channel in channels},
        "resourceconfig": resources
        or {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"},
    }
    for name, content in files_by_name.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return Environment(env={**kept, "TRAINING_JOB_NAME": "job"}, root=root)


# Channels


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *itertools.product(
            ["train", "training", "Train", "TRAINING"],
            ["test", "testing", "eval", "evaluation", "Eval"],
        )
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_channels_have_any_name_order_and_case_of_the_seeds(root, train, test, order):
    job = resolved(variables(root, *[train, test][::order])).job
    data = root / "opt/ml/input/data"
    assert (job.train, job.test) == ((str(data / train),), (str(data / test),))


def test_a_variable_in_small_letters_is_a_channel_too(root):
    fill(root, "train")
    folder = str(root / "opt/ml/input/data/train")
    found = resolved(variables(root, SM_CHANNEL_train=folder))
    assert found.job.train == (folder,)
    assert found.sources["train"] == "SM_CHANNEL_train"


def test_a_second_channel_for_the_same_is_named_in_the_log(root):
    found = resolved(variables(root, "train", "eval", "test"))
    assert found.job.test == (str(root / "opt/ml/input/data/test"),)
    (note,) = found.notes
    assert note.startswith("SM_CHANNEL_EVAL=")
    assert note.endswith("not used, as SM_CHANNEL_TEST is there")


@pytest.mark.parametrize("name", ["validation", "val", "Validation"])
def test_a_channel_for_validation_is_that_with_and_without_test_data(root, name):
    data = root / "opt/ml/input/data"
    found = resolved(variables(root, "train", name, "test"))
    assert found.notes == ()
    assert (found.job.validation, found.job.test) == ((str(data / name),), (str(data / "test"),))
    alone = resolved(variables(root, "train", name)).job
    assert (alone.validation, alone.test) == ((str(data / name),), ())


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("model", "not used, as training begins anew; with --import the model is checked"),
        ("pretrained", "not used, as its name is none of train, training, test"),
        ("training", "not used, as SM_CHANNEL_TRAIN is there"),
    ],
)
def test_a_channel_that_nobody_reads_is_named_in_the_log(root, channel, why):
    (note,) = resolved(variables(root, "train", channel)).notes
    assert note.startswith(f"SM_CHANNEL_{channel.upper()}=")
    assert why in note


def test_a_channel_is_not_used_where_a_flag_names_the_data(root):
    (note,) = resolved(variables(root, "train"), "--train", "x").notes
    assert note.endswith("not used, as --train is there")


def test_data_is_not_used_where_a_model_is_imported(root):
    found = resolved(variables(root, "train", "model"), "--import")
    assert found.job.input == str(root / "opt/ml/input/data/model")
    (note,) = found.notes
    assert note.endswith("data/train: not used, as a model is imported")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sagemaker_s3_output": "s3://b/o"}, "hyperparameter sagemaker_s3_output: not used"),
        ({"sagemaker_mpi_custom_mpi_options": "-x A"}, "sagemaker_mpi_custom_mpi_options: not"),
        (
            {"sagemaker_mpi_num_of_processes_per_host": "4"},
            "sagemaker_mpi_num_of_processes_per_host=4: not used, as sagemaker_mpi_enabled is not",
        ),
    ],
)
def test_a_parameter_of_the_estimator_that_is_not_used_is_named(root, parameters, expected):
    (note,) = resolved(variables(root, SM_FRAMEWORK_PARAMS=parameters)).notes
    assert expected in note


def test_what_the_sdks_always_send_is_not_worth_a_line(root):
    sent = {"sagemaker_region": "r", "sagemaker_job_name": "j", "sagemaker_program": "t.py"}
    assert resolved(variables(root, SM_FRAMEWORK_PARAMS=sent)).notes == ()


def test_a_switch_that_the_image_has_no_program_for_is_refused(root):
    on = {"sagemaker_distributed_dataparallel_enabled": True}
    text = mistake(variables(root, SM_FRAMEWORK_PARAMS=on))
    assert "hyperparameter sagemaker_distributed_dataparallel_enabled: is true" in text
    assert "sagemaker_mpi_enabled" in text


@pytest.mark.parametrize("value", ["1", "yes", "On", 1])
def test_a_switch_is_on_however_that_is_written(root, value):
    on = {"sagemaker_parameter_server_enabled": value}
    environment = variables(root, SM_FRAMEWORK_PARAMS=on, **TWO)
    assert resolved(environment).job.distribution == "parameter_server"


@pytest.mark.parametrize("value", ["0", "False", "no", "", None])
def test_a_switch_is_off_however_that_is_written(root, value):
    off = {"sagemaker_torch_distributed_enabled": value}
    found = resolved(variables(root, SM_FRAMEWORK_PARAMS=off))
    assert (found.job.distribution, found.notes) == ("none", ())


def test_a_switch_that_is_neither_on_nor_off_is_refused(root):
    text = mistake(variables(root, SM_FRAMEWORK_PARAMS={"sagemaker_mpi_enabled": "maybe"}))
    assert "hyperparameter sagemaker_mpi_enabled: expected true or false, found 'maybe'" in text


def test_a_switch_that_a_flag_overrides_is_named(root):
    on = {"sagemaker_mpi_enabled": True}
    environment = variables(root, SM_FRAMEWORK_PARAMS=on, **TWO)
    (note,) = resolved(environment, "--distribution", "multi_worker_mirrored").notes
    assert note == (
        "hyperparameter sagemaker_mpi_enabled: not used, as --distribution says "
        "multi_worker_mirrored"
    )
    assert resolved(environment, "--distribution", "horovod").notes == ()


def test_without_channels_there_is_no_data(root):
    job = resolved(variables(root)).job
    assert (job.train, job.test) == ((), ())


def test_a_channel_for_training_is_missed(root):
    assert mistake(variables(root, "images", "eval")) == (
        "SM_CHANNELS: none of eval, images is for training; name a channel train or training"
    )


def test_channels_of_the_sdk_hold_no_data(root):
    assert resolved(variables(root, "code", "sm_drivers")).job.train == ()


def test_channels_do_not_matter_where_the_data_is_named(root):
    assert resolved(variables(root, "images"), "--train", "x").job.train == ("x",)
    (root / "opt/ml/input/data/images/data").unlink()
    empty = variables(root, SM_CHANNEL_TRAIN=str(root / "opt/ml/input/data/images"))
    assert resolved(empty, "--train", "x").job.train == ("x",)


def test_an_empty_channel_is_reported(root):
    environment = variables(root, "train")
    (root / "opt/ml/input/data/train/data").unlink()
    text = mistake(environment)
    assert text.startswith("SM_CHANNEL_TRAIN=/")
    assert text.endswith("the channel is empty; check its S3 address")


def test_a_missing_channel_folder_is_reported(root):
    text = mistake(variables(root, SM_CHANNEL_TRAIN="/nowhere/train"))
    assert text.startswith("SM_CHANNEL_TRAIN=/nowhere/train: cannot be read: No such file")


def test_a_pipe_is_refused(root):
    environment = variables(
        root, "train", SM_INPUT_DATA_CONFIG={"train": {"TrainingInputMode": "Pipe"}}
    )
    assert "channel train has TrainingInputMode Pipe; expected File or FastFile" in mistake(
        environment
    )


SHARDED = {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"}
WHOLE = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
TWO = {"SM_HOSTS": ["algo-1", "algo-2"], "SM_CURRENT_HOST": "algo-2"}


def sharded(root, *argv: str, train: Any = SHARDED, test: Any = WHOLE, **more: Any) -> ResolvedJob:
    config = {"train": train, "test": test}
    return resolved(variables(root, "train", "test", SM_INPUT_DATA_CONFIG=config, **more), *argv)


def test_a_sharded_channel_gives_each_host_data_of_its_own(root):
    found = sharded(root, **TWO)
    assert found.job.shard_by == "host"
    assert found.sources["shard_by"] == "SM_INPUT_DATA_CONFIG: channel train is ShardedByS3Key"
    assert sharded(root, train=WHOLE, **TWO).job.shard_by == "auto"
    assert sharded(root, "--train", "x", **TWO).job.shard_by == "auto"


def test_a_sharded_channel_is_one_for_a_flag_that_names_its_folder_too(root):
    folder = root / "opt/ml/input/data/train"
    for path in (folder, folder / "*.tfrecord"):
        found = sharded(root, "--train", str(path), **TWO)
        assert found.job.shard_by == "host"
        assert found.notes == ()


def test_a_host_without_a_part_of_a_sharded_channel_says_so(root):
    environment = variables(root, "train", SM_INPUT_DATA_CONFIG={"train": SHARDED}, **TWO)
    (root / "opt/ml/input/data/train/data").unlink()
    assert "has an object for each host, as it is ShardedByS3Key" in mistake(environment)


def test_one_host_has_all_objects_of_a_sharded_channel(root):
    assert sharded(root).job.shard_by == "auto"


@pytest.mark.parametrize(
    ("argv", "more", "expected"),
    [
        (["--shard-by", "record"], {}, "--shard-by record: SM_INPUT_DATA_CONFIG: channel train is"),
        ([], {"train": WHOLE, "test": SHARDED}, "channel test is ShardedByS3Key, but the training"),
        (["--distribution", "parameter_server"], {}, "channel train is ShardedByS3Key: hosts hold"),
    ],
)
def test_what_contradicts_a_sharded_channel_is_refused(root, argv, more, expected):
    with pytest.raises(UserError) as error:
        sharded(root, *argv, **more, **TWO)
    assert expected in str(error.value)


# Folders


def test_folders_are_those_of_the_service(root):
    (root / "opt/ml/checkpoints").mkdir()
    job = resolved(variables(root, "train")).job
    assert job.model_dir == str(root / "opt/ml/model")
    assert job.output_dir == str(root / "opt/ml/output/data")
    assert job.checkpoint_dir == str(root / "opt/ml/checkpoints")
    assert job.failure_file == str(root / "opt/ml/output/failure")


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ({"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/ckpt"}, "opt/ml/ckpt"),
        ({"S3Uri": "s3://b/c"}, "opt/ml/checkpoints"),
    ],
)
def test_checkpoints_go_where_the_services_file_says(root, config, folder):
    environment = variables(root)
    (root / "opt/ml/input/config").mkdir(parents=True, exist_ok=True)
    (root / "opt/ml/input/config/checkpointconfig.json").write_text(json.dumps(config))
    assert resolved(environment).job.checkpoint_dir == str(root / folder)


def test_a_checkpoint_folder_outside_of_opt_ml_is_taken_as_it_is(root):
    environment = variables(root)
    (root / "opt/ml/input/config").mkdir(parents=True, exist_ok=True)
    file = root / "opt/ml/input/config/checkpointconfig.json"
    file.write_text('{"LocalPath": "/data/ckpt"}')
    assert resolved(environment).job.checkpoint_dir == "/data/ckpt"
    file.write_text('{"LocalPath": 3}')
    assert "checkpointconfig.json: LocalPath: expected a string" in mistake(environment)


def test_there_are_no_checkpoints_without_their_folder(root):
    assert resolved(variables(root, "train")).job.checkpoint_dir is None


@pytest.mark.parametrize("key", ["checkpoint-dir", "checkpoint_dir", "--checkpoint-dir"])
def test_a_hyperparameter_is_stronger_than_the_services_folder(root, key):
    (root / "opt/ml/checkpoints").mkdir()
    environment = variables(root, "train", SM_HPS={key: "/elsewhere", "output-dir": "/out"})
    found = resolved(environment)
    assert (found.job.checkpoint_dir, found.job.output_dir) == ("/elsewhere", "/out")
    assert found.sources["checkpoint_dir"] == f"hyperparameter {key}"


@pytest.mark.parametrize("key", ["model_dir", "model-dir"])
@pytest.mark.parametrize(
    ("sent", "noted"),
    [
        ("s3://bucket/job/model", True),
        ('"s3://bucket/job/model"', True),
        ("/opt/ml/shared/model", True),
        ("/opt/ml/model", False),
        ('"/opt/ml/model/"', False),
        ("", False),
        ("null", False),
        (None, False),
    ],
)
def test_the_model_dir_of_the_sdks_estimator_is_set_aside(root, key, sent, noted):
    environment = variables(root, "train", SM_HPS={key: sent}, SM_MODEL_DIR="/opt/ml/model")
    found = resolved(environment)
    assert found.job.model_dir == "/opt/ml/model"
    assert found.sources["model_dir"] == "SM_MODEL_DIR"
    assert any("set aside" in note for note in found.notes) == noted


def test_a_flag_is_stronger_than_the_services_folders(root):
    environment = variables(root, "train", SM_HPS={"steps": "10", "batch-size": "64"})
    job = resolved(environment, "--model-dir", "m", "--steps", "5").job
    assert (job.model_dir, job.steps, job.hparams.batch_size) == ("m", 5, 64)


def test_a_job_dir_among_the_hyperparameters_leaves_the_model_where_it_is_collected(root):
    job = resolved(variables(root, "train", SM_HPS={"job_dir": "s3://b/run"})).job
    assert job.model_dir == str(root / "opt/ml/model")
    assert job.checkpoint_dir == "s3://b/run/checkpoints"


def test_a_stopped_run_has_succeeded_within_the_grace(root):
    job = resolved(variables(root)).job
    assert job.stopped_code == 0
    assert job.grace < 120


# Hosts


@pytest.mark.parametrize(
    ("current", "rank", "role"),
    [("algo-1", 0, "chief"), ("algo-10", 1, "worker"), ("algo-2", 2, "worker")],
)
def test_ranks_follow_the_order_of_the_hosts(root, current, rank, role):
    cluster = resolved(variables(root, SM_HOSTS=HOSTS, SM_CURRENT_HOST=current)).job.cluster
    assert (cluster.rank, cluster.role, cluster.is_chief) == (rank, role, rank == 0)
    assert cluster.trainers == tuple(HOSTS)


@pytest.mark.parametrize(("name", "expected"), [("eth0", "eth0"), ("ethwe", None), ("", None)])
def test_only_an_interface_that_exists_is_used(root, name, expected):
    found = resolved(variables(root, SM_NETWORK_INTERFACE_NAME=name)).job.cluster.interface
    assert found == expected


def test_a_host_that_is_not_in_its_list_is_reported(root):
    text = mistake(variables(root, SM_HOSTS=HOSTS, SM_CURRENT_HOST="algo-3"))
    assert text == (
        "SM_CURRENT_HOST=algo-3: is not in its own list, SM_HOSTS=algo-1,algo-10,algo-2"
    )


GROUPS = [
    {"instance_group_name": "data", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1"]},
    {"instance_group_name": "gpu", "instance_type": "ml.p3.2xlarge", "hosts": ["algo-2", "algo-3"]},
]


def heterogeneous(root, current, chosen):
    return variables(
        root,
        SM_HOSTS=["algo-1", "algo-2", "algo-3"],
        SM_CURRENT_HOST=current,
        SM_RESOURCE_CONFIG={"current_group_name": "gpu", "instance_groups": GROUPS},
        SM_DISTRIBUTION_INSTANCE_GROUPS=chosen,
    )


def test_only_chosen_instance_groups_take_part(root):
    cluster = resolved(heterogeneous(root, "algo-3", ["gpu"])).job.cluster
    assert cluster == Cluster(
        chief=("algo-2",), worker=("algo-3",), role="worker", interface="eth0"
    )


@pytest.mark.parametrize("chosen", [[], ["data", "gpu"], ["homogeneousCluster"]])
def test_all_groups_take_part_unless_some_are_chosen(root, chosen):
    assert resolved(heterogeneous(root, "algo-3", chosen)).job.cluster.rank == 2


def test_a_group_that_the_job_does_not_have_is_reported(root):
    text = mistake(heterogeneous(root, "algo-3", ["gpus"]))
    assert "none of gpus is among the job's groups, data, gpu" in text


def test_a_host_of_another_group_has_nothing_to_train(root):
    environment = heterogeneous(root, "algo-1", ["gpu"])
    text = mistake(environment)
    assert text.startswith("SM_DISTRIBUTION_INSTANCE_GROUPS: expected a group with this host, algo")
    assert platform.read_cluster(environment) == Cluster()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SM_HOSTS", "algo-1", "SM_HOSTS: expected JSON, found text that begins with 'algo-1'"),
        ("SM_HOSTS", '"algo-1"', "SM_HOSTS: expected a list, found 'algo-1'"),
        ("SM_HOSTS", "[1]", "SM_HOSTS: expected a string, found 1"),
        ("SM_HPS", "[]", None),
        ("SM_HPS", "[1]", "SM_HPS: expected an object, found a list of 1"),
        ("SM_RESOURCE_CONFIG", "[1]", "SM_RESOURCE_CONFIG: expected an object"),
        ("SM_RESOURCE_CONFIG", '{"instance_groups": 3}', "instance_groups: expected a list"),
        ("SM_RESOURCE_CONFIG", '{"instance_groups": [3]}', "instance_groups: expected an object"),
        ("SM_DISTRIBUTION_INSTANCE_GROUPS", "{", "expected JSON"),
    ],
)
def test_a_malformed_variable_is_named(root, name, value, expected):
    environment = variables(root, **{name: value})
    if expected is None:
        resolved(environment)
    else:
        text = mistake(environment)
        assert expected in text
        assert text.startswith(name)


# The SDK's version 3 makes another set of variables.


def test_the_variables_of_the_sdks_version_3_do(root):
    environment = variables(
        root,
        "train",
        "code",
        "sm_drivers",
        SM_HPS={"learning-rate": 0.001, "steps": 12000},
        SM_INPUT_DATA_DIR="/opt/ml/input/data",
        SM_SOURCE_DIR="/opt/ml/input/data/code",
        SM_ENTRY_SCRIPT="train.py",
        SM_MASTER_ADDR="algo-1",
        SM_MASTER_PORT="7777",
        SM_HOSTS=["algo-1", "algo-2"],
        SM_HOST_COUNT="2",
        SM_CURRENT_HOST="algo-2",
        SM_CURRENT_HOST_RANK="1",
        SM_NETWORK_INTERFACE_NAME="ethwe",
        SM_RESOURCE_CONFIG={"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]},
    )
    job = resolved(environment).job
    assert job.cluster == Cluster(chief=("algo-1",), worker=("algo-2",), role="worker")
    assert (job.steps, job.hparams.learning_rate) == (12000, 0.001)


# Where only the three files are there


needs_toolkit = pytest.mark.skipif(
    importlib.util.find_spec("sagemaker_training") is None and not os.environ.get("CI"),
    reason="sagemaker-training is not installed",
)


@needs_toolkit
def test_the_toolkit_makes_the_variables_of_the_three_files(root):
    hyperparameters = {
        "steps": "10",
        "learning-rate": "0.001",
        "verbosity": '"INFO"',
        "model_dir": '"s3://b/job/model"',
        "sagemaker_program": '"task.py"',
        "sagemaker_job_name": '"job"',
    }
    resources = {
        "current_host": "algo-2",
        "hosts": HOSTS,
        "network_interface_name": "eth0",
        "current_instance_type": "ml.p3.2xlarge",
        "current_group_name": "homogeneousCluster",
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "x", "hosts": HOSTS}
        ],
    }
    environment = files(root, "train", "eval", hyperparameters=hyperparameters, resources=resources)
    found = resolved(environment)
    assert found.because == f"{root}/opt/ml/input/config/{sagemaker_files.FILES[0]} is there"
    job = found.job
    assert job.train == (str(root / "opt/ml/input/data/train"),)
    assert job.test == (str(root / "opt/ml/input/data/eval"),)
    assert job.model_dir == str(root / "opt/ml/model")
    assert (job.steps, job.hparams.learning_rate) == (10, 0.001)
    assert (job.cluster.rank, job.cluster.interface) == (2, "eth0")


@needs_toolkit
def test_the_toolkit_leaves_nothing_behind(root, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    environment = files(root, "train", hyperparameters={"steps": '"3"'})
    environment = Environment(env={**environment.env, "HOME": str(home)}, root=root)
    before = sorted(root.rglob("*"))
    assert resolved(environment).job.steps == 3
    assert sorted(root.rglob("*")) == before
    assert not list(home.iterdir())


@needs_toolkit
def test_code_that_is_there_stays(root):
    (root / "opt/ml/code").mkdir()
    resolved(files(root, "train"))
    assert (root / "opt/ml/code").is_dir()


@needs_toolkit
def test_the_base_folder_may_be_elsewhere(root):
    environment = files(root, "train", resources={"current_host": "a", "hosts": ["a"]})
    moved = Environment(
        env={**environment.env, "SAGEMAKER_BASE_DIR": str(root / "opt/ml")}, root=root / "none"
    )
    job = resolved(moved).job
    assert job.model_dir == str(root / "opt/ml/model")
    assert job.failure_file == str(root / "opt/ml/output/failure")


@needs_toolkit
def test_what_is_set_already_is_not_made_anew(root):
    environment = files(root, "train")
    environment = Environment(env={**environment.env, "SM_MODEL_DIR": "/mine"}, root=root)
    assert resolved(environment).job.model_dir == "/mine"


@needs_toolkit
def test_the_current_folder_is_not_where_the_toolkit_comes_from(root, tmp_path, monkeypatch):
    (tmp_path / "boto3.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert resolved(files(root, "train")).platform == "sagemaker"


@needs_toolkit
def test_hosts_of_chosen_groups_are_found_in_the_files(root):
    resources = {
        "current_host": "algo-3",
        "hosts": ["algo-1", "algo-2", "algo-3"],
        "current_group_name": "gpu",
        "instance_groups": GROUPS,
    }
    chosen = {"sagemaker_distribution_instance_groups": '["gpu"]'}
    environment = files(root, "train", hyperparameters=chosen, resources=resources)
    assert resolved(environment).job.cluster.trainers == ("algo-2", "algo-3")


def broken(root: Path, name: str, content: Any) -> Environment:
    environment = files(root, "train")
    path = root / "opt/ml/input/config" / name
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(json.dumps(content))
    return environment


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("resourceconfig.json", None, "cannot be read: No such file"),
        ("hyperparameters.json", None, "cannot be read: No such file"),
        ("inputdataconfig.json", b"", "expected JSON, found text that begins with ''"),
        ("hyperparameters.json", b"\xff\xfe", "found bytes that are no text"),
        ("hyperparameters.json", b'{"password": "hunter2', "begins with '{\"password\"'"),
        ("hyperparameters.json", ["x"], "expected an object, found a list of 1"),
        ("resourceconfig.json", b"{'hosts': 1}", "expected JSON"),
        ("resourceconfig.json", {}, "hosts: expected a list, found null"),
        ("resourceconfig.json", {"hosts": ["a"]}, "current_host: expected a string, found null"),
        ("resourceconfig.json", {"hosts": ["a", "b"], "current_host": "c"}, "of hosts, a, b"),
    ],
)  # fmt: skip
def test_a_missing_or_malformed_file_is_named(root, name, content, expected):
    text = mistake(broken(root, name, content))
    assert text.startswith(str(root / "opt/ml/input/config" / name))
    assert expected in text
    assert "hunter2" not in text


# Hyperparameters between the SDKs and the toolkit


def test_the_file_of_hyperparameters_is_better_than_the_variable(root):
    environment = variables(root, SM_HPS={"job_dir": 1e5})
    (root / "opt/ml/input/config/hyperparameters.json").write_text('{"job_dir": "1e5"}')
    assert resolved(environment).job.job_dir == "1e5"


def test_framework_parameters_are_apart(root):
    environment = files(
        root,
        hyperparameters={
            "sagemaker_program": '"my task.py"',
            "sagemaker_submit_directory": "s3://b/sourcedir.tar.gz",
            "sagemaker_mpi_enabled": "true",
            "_tuning_objective_metric": "accuracy",
            "default_user_module_name": "x",
            "steps": "3",
        },
    )
    assert sagemaker_files.hyperparameters(environment) == {"steps": "3"}
    assert sagemaker_files.framework_parameters(environment) == {
        "sagemaker_program": "my task.py",
        "sagemaker_submit_directory": "s3://b/sourcedir.tar.gz",
        "sagemaker_mpi_enabled": True,
    }


def test_framework_parameters_may_be_a_variable(root):
    environment = variables(root, SM_FRAMEWORK_PARAMS={"sagemaker_parameter_server_enabled": True})
    assert sagemaker_files.framework_parameters(environment) == {
        "sagemaker_parameter_server_enabled": True
    }


# Detection


@pytest.mark.parametrize(
    "env",
    [
        {"SM_HOSTS": "[]"},
        {"SM_MODEL_DIR": "/m"},
        {"SM_CHANNEL_TRAIN": "/t"},
        {"SM_TRAINING_ENV": "{}"},
        {"TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/x"},
        {"TRAINING_JOB_ARN": "arn:aws-cn:sagemaker:cn-north-1:123456789012:training-job/x"},
    ],
)
def test_one_sign_is_enough(env, tmp_path):
    assert platform.detect(Environment(env=env, root=tmp_path)) == f"{next(iter(env))} is set"


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"TRAINING_JOB_NAME": "x"},
        {"TRAINING_JOB_ARN": "x"},
        {"SM_ARCH": "90"},
        {"SM_HOSTS": ""},
    ],
)
def test_what_other_systems_set_as_well_is_no_sign(env, tmp_path):
    assert platform.detect(Environment(env=env, root=tmp_path)) is None


def test_the_name_of_the_job_is_a_sign_where_the_folder_of_the_files_is(root):
    environment = Environment(env={"TRAINING_JOB_NAME": "x"}, root=root)
    assert platform.detect(environment)
    assert "hyperparameters.json: cannot be read" in mistake(environment)


def test_a_few_variables_set_by_hand_do_on_a_plain_machine(tmp_path):
    fill(tmp_path, "train")
    folder = str(tmp_path / "opt/ml/input/data/train")
    env = {"SM_CHANNEL_TRAIN": folder, "SM_MODEL_DIR": "m", "SM_HPS": '{"steps": 3}'}
    job = resolved(Environment(env=env, root=tmp_path)).job
    assert (job.train, job.model_dir, job.steps) == ((folder,), "m", 3)
    assert job.cluster == Cluster()


def test_each_trial_of_a_tuning_job_has_checkpoints_of_its_own(root):
    """All trials have one prefix in S3, from which SageMaker brings back what is there."""
    (root / "opt/ml/checkpoints").mkdir()
    environment = files(root, "train", hyperparameters={"_tuning_objective_metric": "loss"})
    values = platform.read(with_variables(environment, root)).values
    assert values["checkpoint_dir"] == str(root / "opt/ml/checkpoints/job")


def with_variables(environment: Environment, root: Path) -> Environment:
    return Environment(env={**variables(root, "train").env, **environment.env}, root=root)
