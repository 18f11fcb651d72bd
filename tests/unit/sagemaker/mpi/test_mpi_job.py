import json
import os
import shutil
import sys

import pytest

from trainer.config.errors import UserError
from trainer.launch.differences import difference
from trainer.launch.rendezvous.messages import Start
from trainer.launch.supervise.command import Command
from trainer.platforms.base import Environment
from trainer.sagemaker.mpi import mpi_job as mpi_script
from trainer.sagemaker.mpi.host import MpiHost
from trainer.sagemaker.mpi.ssh import SshServer

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEeZ0b8mTnq9Vd0YQk4N0q3xXyK1cJ9o2p4s6u8w0y2A"
SCRIPT = Command(
    argv=(sys.executable, "train.py", "--a", "b c"),
    env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
    name="user script",
)


def environment_of(hosts=("algo-1", "algo-2"), current="algo-1", env=None, **parameters):
    parameters.setdefault("sagemaker_mpi_enabled", True)
    env_of_job = {
        "SM_HOSTS": json.dumps(list(hosts)),
        "SM_CURRENT_HOST": current,
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_FRAMEWORK_PARAMS": json.dumps(parameters),
    }
    return Environment(env=env_of_job | (env or {}), argv=())


def read(*args, given=None, **more):
    return mpi_script.read(environment_of(*args, **more), given or {})


def test_hosts_of_a_script_compare_who_takes_part_but_no_flags_of_the_trainer(tmp_path):
    given = {"port": 9, "start_timeout": 5.0}
    first, same, more = (
        MpiHost(read(hosts, current, given=given), SCRIPT, tmp_path).settings()
        for hosts, current in (
            (("algo-1", "algo-2"), "algo-1"),
            (("algo-1", "algo-2"), "algo-2"),
            (("algo-1", "algo-2", "algo-3"), "algo-2"),
        )
    )
    assert difference([first, same]) is None
    assert difference([first, more]) == (
        "hosts: 3 on host algo-2 (worker 0), 2 on host algo-1 (chief 0); set the same on all hosts"
    )


@pytest.mark.parametrize("value", [None, False, "false", "", 0])
def test_a_script_runs_without_mpirun_unless_it_is_asked_for(value):
    assert read(sagemaker_mpi_enabled=value) is None


@pytest.mark.parametrize("value", [True, "true", "True"])
def test_it_is_asked_for(value):
    settings = read(sagemaker_mpi_enabled=value)
    assert settings.processes_per_host == 1
    assert settings.num_processes is None
    assert settings.options == ""
    assert [member.host for member in settings.group.members] == ["algo-1", "algo-2"]


def test_a_host_in_none_of_the_groups_runs_its_script_without():
    groups = [{"instance_group_name": "gpu", "hosts": ["algo-1"]}]
    env = {
        "SM_RESOURCE_CONFIG": json.dumps({"instance_groups": groups}),
        "SM_DISTRIBUTION_INSTANCE_GROUPS": '["gpu"]',
    }
    assert read(current="algo-2", env=env) is None
    assert read(current="algo-1", env=env).group.is_single


def test_the_number_of_processes_is_that_of_the_job_else_of_the_gpus():
    gpus = {"SM_NUM_GPUS": "4"}
    assert read(env=gpus).processes_per_host == 4
    assert read(env=gpus, sagemaker_mpi_num_of_processes_per_host="2").processes_per_host == 2
    assert read(sagemaker_mpi_num_processes=3).num_processes == 3
    with pytest.raises(UserError, match=r"sagemaker_mpi_num_of_processes_per_host.*'two'"):
        read(sagemaker_mpi_num_of_processes_per_host="two")


def test_flags_tell_where_and_how_long_hosts_wait():
    group = read(given={"port": 7200, "start_timeout": 5.0, "steps": 3}).group
    assert (group.port, group.start_timeout) == (7200, 5.0)
    with pytest.raises(UserError, match="--port 0"):
        read(given={"port": 0})


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "a b", "a\nHost *", "a,b"])
def test_a_host_that_is_no_name_is_refused(name):
    with pytest.raises(UserError, match=r"^SM_HOSTS: .*expected the name of a host"):
        read(hosts=["algo-1", name])


def host(tmp_path, current="algo-1", hosts=("algo-1", "algo-2"), **more):
    return MpiHost(read(hosts, current, **more), SCRIPT, tmp_path)


def start(**more):
    worker = {**SshServer(key=KEY, port=2222).to_dict(), "interface": None, **more}
    metadata = {"chief-0": {"user": KEY}, "worker-0": worker}
    return Start(processes={}, reached_at="127.0.0.1", metadata=metadata)


def test_the_first_host_runs_mpirun_and_the_script_gets_its_arguments_as_they_are(tmp_path):
    of = {
        "sagemaker_mpi_num_of_processes_per_host": 2,
        "sagemaker_mpi_custom_mpi_options": "-x A=b",
    }
    made = host(tmp_path, **of).commands(start())
    [(process, command)] = made.commands
    assert not made.prefix
    assert process.name == "mpirun"
    assert command.argv[:4] == (sys.executable, "-I", "-m", "trainer.sagemaker.mpi.mpirun")
    at = command.argv.index("--")
    assert command.argv[at + 1 :] == (sys.executable, "-m", "mpi4py", "train.py", "--a", "b c")
    given = command.argv[4:at]
    assert given[given.index("--hosts") + 1] == "algo-1,algo-2"
    assert given[given.index("--interface") + 1] == "lo"
    assert "--options=-x A=b" in given
    assert command.env["OMPI_MCA_plm_rsh_agent"].endswith(f"ssh -F {tmp_path}/ssh_config")
    # Else mpirun's tags would stand within lines.
    assert "PYTHONUNBUFFERED" not in command.env


def test_another_host_serves_the_first(tmp_path):
    second = host(tmp_path, current="algo-2")
    second.metadata = {"port": 2222}
    [(process, command)] = second.commands(start()).commands
    assert process.name == "ssh server"
    assert command.argv[0].endswith("sshd")
    assert KEY in (tmp_path / "authorized_keys").read_text()


def test_a_host_with_another_network_interface_is_named_rather_than_waited_for(tmp_path):
    with pytest.raises(UserError, match="algo-1 has lo, algo-2 has eth1"):
        host(tmp_path).commands(start(interface="eth1"))


def test_what_is_no_key_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^host algo-2: expected a public key"):
        host(tmp_path).commands(start(key="x"))
    with pytest.raises(UserError, match=r"^host algo-1: expected a public key"):
        host(tmp_path, current="algo-2").commands(Start(processes={}, metadata={"chief-0": {}}))


def test_ranks_are_on_the_hosts_in_turn_unless_the_user_spreads_them(tmp_path):
    of = {"sagemaker_mpi_num_of_processes_per_host": 2}
    usual = host(tmp_path, sagemaker_mpi_custom_mpi_options="-x A=b", **of)
    assert [usual._host_of(rank) for rank in range(4)] == ["algo-1"] * 2 + ["algo-2"] * 2
    spread = host(tmp_path, sagemaker_mpi_custom_mpi_options="--map-by node", **of)
    assert spread._host_of(1) == "of algo-1 or another"
    assert host(tmp_path, hosts=("algo-1",))._host_of(5) == "algo-1"


def test_a_host_that_is_alone_makes_no_keys(tmp_path):
    alone = host(tmp_path, hosts=("algo-1",))
    alone.make_keys()
    [(_, command)] = alone.commands(Start(processes={}, metadata={"chief-0": {}})).commands
    assert "localhost" in command.argv
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not shutil.which("ssh-keygen") and not os.environ.get("CI"), reason="needs openssh-client"
)
def test_metadata_holds_no_private_keys(tmp_path):
    for name in ("algo-1", "algo-2"):
        (tmp_path / name).mkdir()
        made = host(tmp_path / name, current=name)
        made.make_keys()
        [private] = [p for p in (tmp_path / name).iterdir() if p.suffix != ".pub"]
        for line in private.read_text().splitlines()[1:-1]:
            assert line not in json.dumps(made.metadata)


def test_a_shell_script_needs_no_mpi4py(tmp_path):
    script = Command(argv=("/bin/bash", "./run.sh"), env={}, name="user script")
    alone = MpiHost(read(hosts=["algo-1"]), script, tmp_path)
    [(_, command)] = alone.commands(Start(processes={})).commands
    assert command.argv[-2:] == ("/bin/bash", "./run.sh")
    assert "mpi4py" not in command.argv


def test_the_dry_run_shows_mpirun_or_the_server(tmp_path):
    assert "trainer.sagemaker.mpi.mpirun" in mpi_script.preview(read(), SCRIPT).argv
    assert mpi_script.preview(read(current="algo-2"), SCRIPT).argv[0].endswith("sshd")
