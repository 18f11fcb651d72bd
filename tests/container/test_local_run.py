"""Requests of other platforms on this machine's engine: what runs, what is kept, what is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from containers import Engine
from submitting import everything

from trainer.backends.engine.client import Engine as Client
from trainer.backends.engine.container import Mount
from trainer.backends.engine.local_run import LocalRun, run_on_engine
from trainer.backends.engine.service import EngineService
from trainer.config import UserError
from trainer.platforms import ContainerStart
from trainer.runtime import StopRequest

CHANNEL = "/opt/ml/input/data/train"
# Shell and Python are in the image; TensorFlow would only take its time.
SHELL = ("bash", "-c")


def sagemaker(hosts: int, **hyperparameters: object) -> list[ContainerStart]:
    """What SageMaker gives each container of a job."""
    names = [f"algo-{number + 1}" for number in range(hosts)]
    return [
        ContainerStart(
            name=name,
            env={"TRAINING_JOB_NAME": "job"},
            argv=("train",),
            files={
                f"/opt/ml/input/config/{file}.json": json.dumps(content)
                for file, content in {
                    "hyperparameters": {k: str(v) for k, v in hyperparameters.items()},
                    "inputdataconfig": {"train": {"TrainingInputMode": "File"}},
                    "resourceconfig": {
                        "current_host": name, "hosts": names, "network_interface_name": "eth0",
                    },
                }.items()
            },
            outputs={"/opt/ml/model": "model", "/opt/ml/output": "output"},
        )
        for name in names
    ]  # fmt: skip


def shells(*scripts: str, **more: object) -> list[ContainerStart]:
    return [
        ContainerStart(name=f"host-{n}", argv=(*SHELL, script), outputs={"/kept": "kept"}, **more)
        for n, script in enumerate(scripts)
    ]


@pytest.fixture
def local(engine: Engine, image: str, tmp_path: Path):
    """Runs containers, and fails if anything of them is left."""
    name = f"trainer-test-{os.urandom(4).hex()}"

    def run(starts, *, stop=None, **more):
        job = LocalRun(
            name=name, place="sagemaker", image=image, starts=starts, folder=tmp_path / "out",
            **{"grace": 30, **more},
        )  # fmt: skip
        return run_on_engine(Client(engine.client), job, stop=stop or StopRequest())

    run.name = name
    yield run
    left = everything(engine, name)
    if left:
        engine("rm", "--force", "--volumes", *left, check=False)
    assert left == []


def test_two_hosts_of_sagemaker_train_and_their_folders_are_collected(
    local, tfrecords, tmp_path, capfd
):
    status = local(
        sagemaker(2, model="fast", steps=20, distribution="horovod"),
        mounts=(Mount(source=str(tfrecords), target=CHANNEL),),
    )
    out = capfd.readouterr().out
    assert (status.state, status.exit_code) == ("completed", 0), out
    assert "[algo-1 rank 0] step=20 " in out
    (version,) = (tmp_path / "out/model").iterdir()
    assert (version / "saved_model.pb").stat().st_uid == os.getuid()
    assert (tmp_path / "out/output/data/metrics.json").is_file()


def test_a_mistake_is_the_jobs_own_exit_code_and_its_failure_file_is_kept(local, tmp_path):
    status = local(sagemaker(1, model="none-such"))
    assert (status.state, status.exit_code) == ("failed", 2)
    assert "none-such" in status.failure
    assert "none-such" in (tmp_path / "out/output/failure").read_text()


def test_one_that_fails_ends_the_others(local):
    began = time.monotonic()
    status = local(shells("sleep 600", "exit 7"), grace=5)
    assert (status.state, status.exit_code) == ("failed", 7)
    assert "host-1" in status.detail
    assert time.monotonic() - began < 100


def test_a_host_that_is_done_waits_for_the_chief(local, tmp_path):
    status = local(shells("sleep 18; echo chief > /kept/file", "echo other > /kept/other"))
    assert status.state == "completed"
    assert (tmp_path / "out/kept/file").read_text() == "chief\n"
    assert (tmp_path / "out/kept/other").read_text() == "other\n"


def test_hosts_reach_each_other_by_name_and_alias_and_share_a_folder(local, capfd):
    find = (
        "until getent hosts host-1 && getent hosts other && [ -e /shared/file ]; do sleep 0.1; done"
    )
    status = local(
        shells(find, "touch /shared/file; sleep 5", aliases=("other",), shared=("/shared",))
    )
    assert status.state == "completed", capfd.readouterr().out


def test_a_stop_is_sigterm_and_what_was_written_is_kept(local, tmp_path, capfd):
    trap = "trap 'echo stopped > /kept/file; exit 143' TERM; echo ready; sleep 600 & wait"

    class AfterReady(StopRequest):
        def __call__(self) -> bool:
            return super().__call__() or "ready" in capfd.readouterr().out

    status = local(shells(trap), stop=AfterReady())
    assert (status.state, status.exit_code) == ("stopped", 143)
    assert (tmp_path / "out/kept/file").read_text() == "stopped\n"


def test_a_killed_runner_leaves_what_jobs_stop_removes(engine, image, tmp_path):
    name = f"trainer-test-{os.urandom(4).hex()}"
    code = f"""
from pathlib import Path
from trainer.backends.engine.client import Engine
from trainer.backends.engine.local_run import LocalRun, run_on_engine
from trainer.platforms import ContainerStart
from trainer.runtime import StopRequest
start = ContainerStart(name="algo-1", argv=("bash", "-c", "echo ready; sleep 600"))
run = LocalRun(name={name!r}, place="sagemaker", image={image!r}, starts=[start], grace=1,
               folder=Path({str(tmp_path / "out")!r}))
run_on_engine(Engine({engine.client!r}), run, stop=StopRequest())
"""
    runner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "ready\n"
    runner.send_signal(signal.SIGKILL)
    runner.wait(30)
    service = EngineService(Client(engine.client))
    assert [job.name for job in service.jobs(100) if job.name == name] == [name]
    assert service.status(name).state == "running"
    service.stop(name)
    assert everything(engine, name) == []


def test_a_container_out_of_memory_says_so(local):
    from trainer.backends.engine.container import ContainerLimits

    eats = "python3 -c 'x = bytearray(10**9)'"
    status = local(shells(eats), limits=ContainerLimits(memory="64m"))
    assert (status.state, status.exit_code) == ("failed", 137)
    assert status.failure.startswith("killed for lack of memory: --memory allows 64 MiB")


def test_an_image_that_is_not_there_is_one_line(engine, local):
    with pytest.raises(UserError, match=r"--image nobody.invalid/none:1: it cannot be pull"):
        run_on_engine(
            Client(engine.client),
            LocalRun(
                name=local.name, place="sagemaker", image="nobody.invalid/none:1",
                starts=shells("true"), folder=Path("never"),
            ),
            stop=StopRequest(),
        )  # fmt: skip


def test_results_of_an_earlier_run_are_not_touched(local, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(UserError, match="holds something already"):
        local(shells("true"))
