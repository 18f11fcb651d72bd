import json

import pytest

from trainer.config.errors import UserError
from trainer.launch.supervise.command import Command
from trainer.platforms.base import Environment
from trainer.sagemaker import script_cluster
from trainer.sagemaker.script_cluster import SERVER


def environment_of(*hosts: str, current: str, **parameters: object) -> Environment:
    env = {
        "SM_HOSTS": json.dumps(hosts),
        "SM_CURRENT_HOST": current,
        "SM_FRAMEWORK_PARAMS": json.dumps(
            {f"sagemaker_{name}_enabled": value for name, value in parameters.items()}
        ),
    }
    return Environment(env=env)


def config_of(environment: Environment) -> dict:
    cluster = script_cluster.read(environment)
    assert cluster is not None
    script = cluster.commands(Command(argv=("python3", "x.py"), env={}, name="user script"))[-1]
    return json.loads(script.env["TF_CONFIG"])


HOSTS = ("algo-1", "algo-2", "algo-3")
PS = {
    "master": ["algo-1:2222"],
    "worker": ["algo-2:2222", "algo-3:2222"],
    "ps": ["algo-1:2223", "algo-2:2223", "algo-3:2223"],
}
WORKERS = {"worker": ["algo-1:8890", "algo-2:8890", "algo-3:8890"]}


@pytest.mark.parametrize(
    ("switch", "current", "cluster", "task"),
    [
        ("parameter_server", "algo-1", PS, {"type": "master", "index": 0}),
        ("parameter_server", "algo-2", PS, {"type": "worker", "index": 0}),
        ("parameter_server", "algo-3", PS, {"type": "worker", "index": 1}),
        ("multi_worker_mirrored_strategy", "algo-1", WORKERS, {"type": "worker", "index": 0}),
        ("multi_worker_mirrored_strategy", "algo-3", WORKERS, {"type": "worker", "index": 2}),
    ],
)
def test_a_script_finds_the_tf_config_of_the_toolkit(switch, current, cluster, task):
    found = config_of(environment_of(*HOSTS, current=current, **{switch: True}))
    assert found == {"cluster": cluster, "environment": "cloud", "task": task}


def test_every_host_has_a_parameter_server_that_sees_no_gpu():
    for index, host in enumerate(HOSTS):
        cluster = script_cluster.read(environment_of(*HOSTS, current=host, parameter_server=True))
        server, script = cluster.commands(Command(argv=("x",), env={"A": "b"}, name="user script"))
        assert (server.name, script.name) == (SERVER, "user script")
        task = json.loads(server.env["TF_CONFIG"])["task"]
        assert task == {"type": "ps", "index": index}
        assert (server.env["CUDA_VISIBLE_DEVICES"], server.env["A"]) == ("", "b")
        assert "CUDA_VISIBLE_DEVICES" not in script.env


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"parameter_server": False},
        {"parameter_server": True},
        {"mpi": True},
    ],
)
def test_a_script_that_is_alone_or_under_mpirun_has_no_tf_config(parameters):
    assert script_cluster.read(environment_of("algo-1", current="algo-1", **parameters)) is None


def test_one_mirrored_worker_is_a_cluster_of_one_as_in_the_toolkit():
    found = config_of(
        environment_of("algo-1", current="algo-1", multi_worker_mirrored_strategy="true")
    )
    assert found["cluster"] == {"worker": ["algo-1:8890"]}


@pytest.mark.parametrize(
    "switch", ["distributed_dataparallel", "torch_distributed", "instance_groups_of_tomorrow"]
)
def test_a_switch_that_the_image_has_no_program_for_is_refused_by_name(switch):
    with pytest.raises(UserError) as error:
        script_cluster.read(environment_of(*HOSTS, current="algo-1", **{switch: True}))
    assert f"hyperparameter sagemaker_{switch}_enabled: is true" in str(error.value)


def test_such_a_switch_may_be_off():
    off = environment_of(*HOSTS, current="algo-1", torch_distributed=False)
    assert script_cluster.read(off) is None
