"""A user's script under real mpirun and sshd, on hosts that have networks and folders of their own.

`ip netns exec` gives each process its own view of mounts: what is laid over /opt and others here is
not seen by the machine, whose own files cannot be written.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from namespaces import Hosts, Running

from trainer.sagemaker.mpi import ssh as ssh_keys

ROOT = Path(__file__).parent.parent.parent
SAGEMAKER = [sys.executable, "-u", str(ROOT / "entrypoints/sagemaker"), "train"]
# Overlaid, so that /opt/ml can be there though the machine has none.
CONTAINER = """
set -e
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work
mount -t overlay overlay -o lowerdir=/opt,upperdir=/run/upper,workdir=/run/work /opt
mkdir -p /opt/ml
mount --bind "$1" /opt/ml
for program in $2; do mount --bind /dev/null "$program"; done
mount -o remount,bind,ro /
shift 2
exec "$@"
"""
# Open MPI's wheel, if it is in this environment as it is in the image's: mpi4py takes its library.
ENV = {"PATH": os.environ["PATH"]}
if Path(sys.executable).with_name("mpirun").exists():
    ENV["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), ENV["PATH"]))
    ENV["OPAL_PREFIX"] = sys.prefix
NEEDED = ("mpirun", "orted", "ssh", "ssh-keygen", "/usr/sbin/sshd")
MISSING = [name for name in NEEDED if not shutil.which(name, path=ENV["PATH"])]
if importlib.util.find_spec("mpi4py") is None:
    MISSING.append("mpi4py")
# In CI they have to be there: then the tests fail.
pytestmark = pytest.mark.skipif(
    bool(MISSING) and not os.environ.get("CI"), reason=f"needs {', '.join(MISSING)}"
)
# Until a failure anywhere has ended everything.
SOON = 10.0

RANKS = """
import json, os, pathlib, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
folders = list(pathlib.Path(os.environ["TMPDIR"]).glob("trainer-mpi-*"))
found = {
    "rank": world.rank,
    "size": world.size,
    "sum": world.allreduce(world.rank + 1),
    "local": world.Split_type(MPI.COMM_TYPE_SHARED).size,
    "name": MPI.Get_processor_name(),
    "host": os.environ["SM_CURRENT_HOST"],
    "secret": os.environ.get("TOKEN"),
    "debug": os.environ["NCCL_DEBUG"],
    "argv": sys.argv[1:],
    "keys": sorted(p.name for f in folders for p in f.iterdir() if "PRIVATE KEY" in p.read_text()),
    "open": [p.name for f in folders for p in [f, *f.glob("*")]
             if p.suffix != ".pub" and p.stat().st_mode & 0o077],
}
pathlib.Path(os.environ["SM_MODEL_DIR"], f"rank-{world.rank}.json").write_text(json.dumps(found))
print("rank", world.rank, "of", world.size, "done")
"""
FAILING = """
from mpi4py import MPI
world = MPI.COMM_WORLD
print("ready")
if world.rank == 3:
    raise ValueError("no such luck")
world.barrier()
"""
STOPPED = """
import os, pathlib, signal, sys, time
from mpi4py import MPI
world = MPI.COMM_WORLD
def save(*_):
    # Longer than mpirun itself would give it.
    time.sleep(3)
    pathlib.Path(os.environ["SM_MODEL_DIR"], f"rank-{world.rank}").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
world.barrier()
print("ready")
while True:
    time.sleep(0.1)
"""
HOROVOD = """
import json, os, pathlib
import horovod.tensorflow as hvd
import tensorflow as tf
hvd.init()
mean = hvd.allreduce(tf.constant(float(hvd.rank())), name="rank").numpy()
found = [hvd.rank(), hvd.size(), hvd.local_rank(), hvd.local_size(), float(mean)]
pathlib.Path(os.environ["SM_MODEL_DIR"], f"rank-{hvd.rank()}.json").write_text(json.dumps(found))
"""


class Cluster:
    """Hosts of a training job with a script.

    Args:
        net: The hosts.
        folder: For their /opt/ml.
        script: The user's script.
        hyperparameters: Of the job.
    """

    def __init__(self, net: Hosts, folder: Path, script: str, **hyperparameters: str) -> None:
        self.net = net
        self.bases = [folder / name for name in net.names]
        for base, name in zip(self.bases, net.names, strict=True):
            for part in ("input/config", "code", "model", "output", "tmp"):
                (base / part).mkdir(parents=True)
            (base / "code/script.py").write_text(script)
            given = {
                "sagemaker_program": "script.py",
                "sagemaker_mpi_enabled": "true",
                "sagemaker_mpi_num_of_processes_per_host": "2",
                **hyperparameters,
            }
            resources = {"hosts": net.names, "network_interface_name": "eth0"}
            for file, content in (
                ("hyperparameters", given),
                ("inputdataconfig", {}),
                ("resourceconfig", {**resources, "current_host": name}),
            ):
                (base / f"input/config/{file}.json").write_text(json.dumps(content))

    def start(self, host: int, *flags: str, without: Sequence[str] = (), **env: str) -> Running:
        """Start a host's container, without some programs."""
        places = [Path(), *(Path(place) for place in ENV["PATH"].split(os.pathsep))]
        there = [place / name for place in places for name in without if (place / name).is_file()]
        hidden = " ".join(str(path) for path in there if path.is_absolute())
        argv = ["sh", "-c", CONTAINER, "sh", str(self.bases[host]), hidden, *SAGEMAKER, *flags]
        given = {**ENV, "TRAINING_JOB_NAME": "a-job", "TMPDIR": "/opt/ml/tmp", **env}
        return self.net.start(host, argv, given)

    def failure(self, host: int) -> str:
        """What the platform is told."""
        return (self.bases[host] / "output/failure").read_text()

    def written(self, pattern: str) -> list[str]:
        """What all processes have written, in the order of their ranks."""
        found = [path for base in self.bases for path in (base / "model").glob(pattern)]
        return [path.read_text() for path in sorted(found, key=lambda path: path.name)]


@pytest.fixture
def cluster(hosts: Callable[[int], Hosts], tmp_path: Path) -> Callable[..., Cluster]:
    def make(count: int, script: str, **hyperparameters: str) -> Cluster:
        return Cluster(hosts(count), tmp_path, script, **hyperparameters)

    return make


def test_two_hosts_with_two_processes_each_are_one_world(cluster):
    job = cluster(
        2,
        RANKS,
        text='"two words; $(touch x)"',
        sagemaker_mpi_custom_mpi_options="--NCCL_DEBUG WARN",
    )
    start = time.monotonic()
    running = [job.start(host, TOKEN="hidden-token-1") for host in (0, 1)]
    codes = [process.wait(90) for process in running]
    log = "\n".join(process.text() for process in running)
    assert codes == [0, 0], log
    # The toolkit's own runners take half a minute more to end.
    assert time.monotonic() - start < 30

    ranks = [json.loads(text) for text in job.written("rank-*.json")]
    assert [(each["rank"], each["size"], each["sum"]) for each in ranks] == [
        (rank, 4, 10) for rank in range(4)
    ]
    names = ["host-1", "host-1", "host-2", "host-2"]
    assert [each["host"] for each in ranks] == names
    # The hosts share one name of their own, as containers may; the toolkit's library mends it.
    assert [each["name"] for each in ranks] == names
    assert {each["local"] for each in ranks} == {2}
    assert {each["secret"] for each in ranks} == {"hidden-token-1"}
    assert {each["debug"] for each in ranks} == {"WARN"}
    assert all(each["argv"] == ["--text", "two words; $(touch x)"] for each in ranks)
    assert "rank 3 of 4 done" in log
    assert "[1,3]<stdout>:rank 3 of 4 done" in running[0].text()
    assert "hidden-token-1" not in log

    # Each host has but the private key that it made, and nobody else may read it.
    assert [each["keys"] for each in ranks] == [["user"], ["user"], ["host"], ["host"]]
    assert not [each["open"] for each in ranks if each["open"]]
    for base in job.bases:
        assert not list((base / "tmp").glob("trainer-mpi-*"))
        assert not (base / "output/failure").exists()


def test_a_failing_rank_ends_all_hosts_and_tells_each_of_them_why(cluster):
    job = cluster(2, FAILING)
    running = [job.start(host) for host in (0, 1)]
    running[0].line("ready", 60)
    start = time.monotonic()
    codes = [process.wait(60) for process in running]
    assert time.monotonic() - start < SOON
    assert codes == [1, 1]
    for host in (0, 1):
        first, where, *_, place = job.failure(host).splitlines()
        assert first == "ValueError: no such luck"
        assert where.startswith("at script.py line 6")
        assert place == "host host-2, rank 3"


@pytest.mark.parametrize("stopped", [(0, 1), (0,), (1,)], ids=["both", "the first", "the second"])
def test_a_stop_leaves_every_process_time_to_save(cluster, stopped):
    job = cluster(2, STOPPED)
    running = [job.start(host) for host in (0, 1)]
    for _ in range(4):
        running[0].line("ready", 60)
    for host in stopped:
        running[host].send_signal(signal.SIGTERM)
    codes = [process.wait(30) for process in running]
    assert codes == [0, 0], running[0].text() + running[1].text()
    assert job.written("rank-*") == ["saved"] * 4


def test_a_host_that_never_comes_is_named(cluster):
    job = cluster(2, RANKS)
    first = job.start(0, "--start-timeout", "2")
    assert first.wait(60) == 200
    assert "did not come within 2 s" in job.failure(0)
    assert "host-2" in job.failure(0)
    assert "Traceback" not in first.text()


def test_a_host_that_goes_away_is_named(cluster):
    job = cluster(2, STOPPED)
    running = [job.start(host) for host in (0, 1)]
    running[0].line("ready", 60)
    start = time.monotonic()
    job.net.lose(1)
    assert running[0].wait(60) != 0
    assert time.monotonic() - start < SOON
    assert "host host-2" in job.failure(0)


def test_one_host_needs_no_ssh(cluster):
    job = cluster(1, RANKS, sagemaker_mpi_num_of_processes_per_host="3")
    process = job.start(0, without=("ssh", "ssh-keygen", "/usr/sbin/sshd"))
    assert process.wait(60) == 0, process.text()
    ranks = [json.loads(text) for text in job.written("rank-*.json")]
    assert [each["size"] for each in ranks] == [3, 3, 3]
    assert [each["keys"] for each in ranks] == [[], [], []]


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("mpirun", "openmpi-bin"),
        ("orted", "openmpi-bin"),
        ("ssh", "openssh-client"),
        ("ssh-keygen", "openssh-client"),
        ("/usr/sbin/sshd", "openssh-server"),
    ],
)
def test_a_program_that_is_missing_is_told_in_one_line_by_every_host(cluster, program, package):
    job = cluster(2, RANKS)
    for host in (0, 1):
        process = job.start(host, without=[program])
        assert process.wait(30) == 2
        (line,) = process.lines
        assert program in line
        assert package in line
        assert job.failure(host).startswith(line.removeprefix("trainer: error: "))


def test_mpi4py_that_is_missing_is_told_in_one_line(cluster):
    job = cluster(1, RANKS)
    without = "import sys; sys.modules['mpi4py'] = None"
    (job.bases[0] / "code/sitecustomize.py").write_text(without)
    process = job.start(0)
    assert process.wait(30) == 2
    assert "mpi4py is not installed" in process.lines[-1]
    assert "mpi4py is not installed" in job.failure(0)


def test_a_server_lets_in_nobody_else_and_a_client_goes_nowhere_else(hosts, tmp_path):
    net = hosts(1)
    server, client, stranger = (tmp_path / name for name in ("server", "client", "stranger"))
    for folder in (server, client, stranger):
        folder.mkdir(mode=0o700)
    known = ssh_keys.SshServer(key=ssh_keys.make_key_pair(server / "host"), port=2222)
    keys = [ssh_keys.make_key_pair(folder / "user") for folder in (client, stranger)]
    argv = ssh_keys.write_server_settings(
        server, port=2222, client=keys[0], env={"A": "1\n2", "PATH": "/bin"}
    )
    wrapped = ["sh", "-c", 'mount -t tmpfs tmpfs /run; mkdir /run/sshd; exec "$@"', "sh", *argv]
    daemon = net.start(0, wrapped)

    def ssh(folder: Path, knows: ssh_keys.SshServer, command: str) -> tuple[int, str]:
        agent = ssh_keys.write_client_settings(folder, {"host-1": knows})
        ran = net.start(0, [*agent, "host-1", command])
        return ran.wait(30), ran.text()

    until = time.monotonic() + 20
    while (answer := ssh(client, known, 'echo "$A"'))[0] and time.monotonic() < until:
        assert daemon.runs(), daemon.text()
    assert answer == (0, "1\n2")
    code, text = ssh(stranger, known, "true")
    assert code == 255
    assert "Permission denied" in text
    wrong = ssh_keys.SshServer(key=keys[1], port=2222)
    code, text = ssh(client, wrong, "true")
    assert code == 255
    assert "Host key verification failed" in text


def has_mpi_horovod() -> bool:
    """Whether Horovod is there, and was built with MPI."""
    spec = importlib.util.find_spec("horovod")
    if spec is None or not spec.submodule_search_locations:
        return False
    library = next(Path(spec.submodule_search_locations[0]).glob("tensorflow/mpi_lib*.so"), None)
    return (
        library is not None
        and "libmpi"
        in subprocess.run(
            ["readelf", "-d", str(library)], capture_output=True, text=True, check=False
        ).stdout
    )


@pytest.mark.skipif(not has_mpi_horovod(), reason="needs Horovod with MPI")
def test_horovod_finds_its_ranks_by_mpi(cluster):
    job = cluster(2, HOROVOD)
    running = [job.start(host) for host in (0, 1)]
    codes = [process.wait(120) for process in running]
    assert codes == [0, 0], running[0].text() + running[1].text()
    ranks = [json.loads(text) for text in job.written("rank-*.json")]
    assert ranks == [[rank, 4, rank % 2, 2, 1.5] for rank in range(4)]
