"""The command of mpirun, as the toolkit itself puts it together."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("sagemaker_training")


def run(tmp_path, *argv, **env):
    config = tmp_path / "input/config"
    config.mkdir(parents=True)
    hosts = '{"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}'
    (config / "resourceconfig.json").write_text(hosts)
    for name in ("hyperparameters", "inputdataconfig"):
        (config / f"{name}.json").write_text("{}")
    return subprocess.run(
        [sys.executable, "-I", "-m", "trainer.sagemaker.mpi.mpirun", *argv],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


SETTINGS = ("--interface", "eth7", "--processes-per-host", "2")


def test_the_command_is_the_toolkits_with_the_script_as_it_is(tmp_path):
    options = "--options=--NCCL_DEBUG WARN -x MINE=1"
    script = ("python3", "-m", "mpi4py", "train.py", "--text", "a b")
    ran = run(tmp_path, "--show", "--hosts", "algo-1,algo-2", *SETTINGS, options, "--", *script)
    assert ran.returncode == 0, ran.stderr
    line = ran.stdout.splitlines()[-1]
    assert line.startswith("mpirun --host algo-1:2,algo-2:2 -np 4 --allow-run-as-root ")
    assert line.endswith("-x MINE=1 python3 -m mpi4py train.py --text 'a b'")
    for part in (
        "--tag-output",
        "-mca btl_tcp_if_include eth7 -mca oob_tcp_if_include eth7",
        "-mca plm_rsh_no_tree_spawn 1",
        "-mca orte_abort_on_non_zero_status 1",
        "-x NCCL_SOCKET_IFNAME=eth7 -x NCCL_DEBUG=WARN",
    ):
        assert part in line
    # Each host has its own; the first one's would be wrong on the others.
    assert "SM_CURRENT_HOST" not in line


def test_a_total_number_takes_the_place_of_that_of_each_host(tmp_path):
    more = ("--num-processes", "3", "--instance-type", "ml.p4d.24xlarge")
    ran = run(tmp_path, "--show", "--hosts", "algo-1,algo-2", *SETTINGS, *more, "--", "./run")
    assert "-np 3 " in ran.stdout
    assert "-x FI_PROVIDER=efa" in ran.stdout


def test_a_host_that_lets_nobody_in_is_named(tmp_path, monkeypatch):
    from trainer.sagemaker.mpi import mpirun

    agent = tmp_path / "ssh"
    agent.write_text('#!/bin/sh\necho "ssh: $1 $2: no route" >&2; exit 255\n')
    agent.chmod(0o755)
    with pytest.raises(OSError, match=r"^host algo-2: no ssh within 0.1 s: ssh: algo-2 true: no"):
        mpirun.wait_until_reachable([str(agent)], "algo-2", within=0.1)


HOSTS = ("--hosts", "algo-1,algo-2")


@pytest.fixture
def mpirun(monkeypatch):
    """The module, imported into this process; its environment is restored."""
    from trainer.sagemaker.mpi import mpirun

    monkeypatch.setenv(mpirun.AGENT, "true")
    return mpirun


def test_the_command_that_is_shown_masks_secrets(mpirun, capsys):
    script = ("./run", "--token", "hunter22")
    assert mpirun.main(["--show", *HOSTS, *SETTINGS, "--", *script]) == 0
    line = capsys.readouterr().out
    assert line.startswith("mpirun --host algo-1:2,algo-2:2 -np 4 ")
    assert line.endswith(" ./run --token '***'\n")


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (-9, 137)])
def test_the_exit_code_is_mpiruns_once_all_hosts_are_reached(
    mpirun, monkeypatch, tmp_path, code, expected
):
    ran = []

    def check_error(command, error, processes, **more):
        ran.append(command)
        if code:
            raise mpirun.errors.ExecuteUserScriptError(command, return_code=code)

    monkeypatch.setattr(mpirun.process, "check_error", check_error)
    reached = tmp_path / "reached"
    agent = tmp_path / "ssh"
    agent.write_text(f'#!/bin/sh\necho "$1 $2" >> "{reached}"\n')
    agent.chmod(0o755)
    monkeypatch.setenv(mpirun.AGENT, str(agent))
    assert mpirun.main([*HOSTS, *SETTINGS, "--", "./run"]) == expected
    assert reached.read_text() == "algo-2 true\n"
    assert ran[0][-1] == "./run"


def test_a_host_that_cannot_be_reached_ends_the_job_with_a_line(mpirun, monkeypatch, capsys):
    def unreachable(agent, host, **more):
        raise OSError(f"host {host}: no ssh")

    monkeypatch.setattr(mpirun, "wait_until_reachable", unreachable)
    assert mpirun.main([*HOSTS, *SETTINGS, "--", "./run"]) == 1
    assert "error: host algo-2: no ssh" in capsys.readouterr().err
