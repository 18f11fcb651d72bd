"""What a container does, by its arguments."""

import json


def test_the_command_line_answers(start):
    run = start("trainer", "doctor", "--json")
    # There is no data, which it mentions.
    assert run.wait() == 0
    findings = {f["about"]: f for f in json.loads(run.text)["findings"]}
    versions = findings["versions"]["facts"]
    assert versions["tensorflow"] == "2.21.0"
    assert versions["horovod"] == "0.28.1+trainer1"
    assert versions["sagemaker-training"] == "5.1.4"
    assert findings["--train"]["level"] == "note"
    assert [name for name, f in findings.items() if f["level"] == "problem"] == []


def test_a_dry_run_trains_nothing(start):
    run = start("train", "--dry-run", "--steps", "3")
    assert run.wait() == 0, run.text
    assert "platform" in run.text


def test_any_other_command_runs_with_its_exit_code(start):
    run = start("bash", "-c", "echo $0; which python3 pip train; exit 3")
    assert run.wait() == 3
    assert run.lines == [
        "bash",
        "/opt/trainer/bin/python3",
        "/opt/trainer/bin/pip",
        "/opt/trainer/entrypoints/train",
    ]


def test_a_command_that_the_image_does_not_have_is_one_line(start):
    run = start("tarin")
    assert run.wait() == 127
    (line,) = run.lines
    assert line.startswith("trainer: error: tarin: no such command")


def test_sagemaker_finds_train_on_the_path_not_the_toolkits(start):
    """As with AlgorithmSpecification.ContainerEntrypoint, which leaves ours out."""
    options = ("--network", "none", "--entrypoint", "train")
    run = start("--steps", "x", options=options)
    assert run.wait() == 2
    told = "trainer: error: argument --steps: expected a whole number, found 'x'"
    # The image for GPUs says first that there is none.
    assert run.lines[-1] == f"{told} (see trainer train --help)"


def test_pip_installs_for_any_user_where_the_image_cannot_be_written(start, tmp_path):
    """What a user's script brings in its requirements.txt, here from a folder."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[project]\nname = "brought"\nversion = "1"\n[build-system]\nrequires = []\n'
        'build-backend = "setuptools.build_meta"\n'
    )
    (package / "brought.py").write_text("there = True\n")
    shell = (
        "cp -r /package /tmp/p && pip install -q --no-index --no-build-isolation /tmp/p && "
        "python -c 'import brought, numpy; print(brought.there, brought.__file__)'"
    )
    mount = ("--network", "none", "-v", f"{package}:/package:ro")
    for options, place in (
        ((), "/opt/trainer"),
        (("--user", "4321:4321"), "/tmp/python"),
        (("--read-only", "--tmpfs", "/tmp"), "/tmp/python"),
        (("--read-only", "--tmpfs", "/tmp", "--user", "4321:4321"), "/tmp/python"),
    ):
        run = start("bash", "-c", shell, options=(*mount, *options))
        assert run.wait() == 0, run.text
        assert f"True {place}/lib/python3.13/site-packages/brought.py" in run.text


def test_mpirun_and_tensorflow_share_a_process(start):
    """Each brings a library of the same name."""
    script = (
        "from mpi4py import MPI; import tensorflow as tf; "
        "print(f'sum {MPI.COMM_WORLD.allreduce(int(tf.constant(1)))}\\n', end='')"
    )
    quiet = ("--network", "none", "-e", "TF_CPP_MIN_LOG_LEVEL=3")
    run = start("mpirun", "-np", "2", "python", "-c", script, options=quiet)
    assert run.wait() == 0, run.text
    assert run.lines.count("sum 2") == 2, run.text


def test_each_container_has_host_keys_of_its_own(start):
    shell = "/usr/sbin/sshd && ssh-keygen -lf /run/sshd/ssh_host_ed25519_key.pub"
    first, second = (start("bash", "-c", shell) for _ in range(2))
    assert (first.wait(), second.wait()) == (0, 0), first.text + second.text
    assert first.lines[-1].startswith("256 SHA256:")
    assert first.lines[-1] != second.lines[-1]
