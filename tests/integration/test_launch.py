"""Launchers on several hosts, with small programs in the place of those that train."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from attacker import NOBODY, program
from namespaces import Hosts, Running, hosts  # noqa: F401

from trainer.config.cluster import Cluster

# Launches a job, and says what is left of it.
DRIVER = """
import json, os, sys
from trainer.config.cluster import Cluster
from trainer.config.job import Job
from trainer.launch.supervise.command import Command
from trainer.launch.launcher import launch
from trainer.launch.timeouts import Timeouts
given = json.loads(sys.argv[1])
timeouts = Timeouts(**given["timeouts"])
job = Job(cluster=Cluster.from_json(given["cluster"]), **given["job"])
base = Command(argv=(sys.executable, "-S", *sys.argv[2:]), env=dict(os.environ), name="trainer")
outcome = launch(job, base, timeouts=timeouts)
try:
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    print("LEFT BEHIND")
except ChildProcessError:
    pass
sys.exit(outcome.code)
"""

# Prints that it is there, waits for one line in the pipe that has its name, and obeys it.
PROCESS = """
import json, os, signal, sys
folder, stubborn = sys.argv[1], sys.argv[2]
task = json.loads(os.environ["TRAINER_TASK"])
name = task["role"] + str(task["index"])
def end(*_):
    print("told to end", flush=True)
    if name == "evaluator0":
        open(os.path.join(folder, "go")).readline()
        print("evaluated the last", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, signal.SIG_IGN if name in stubborn.split() else end)
print("ready", os.getpid(), *task["chief"], *task["worker"], *task["ps"], flush=True)
word, _, rest = open(os.path.join(folder, name)).readline().strip().partition(" ")
if word == "exit":
    sys.exit(int(rest))
if word == "peer":
    print("trainer: failed: another process is gone: Connection closed by peer", file=sys.stderr)
    sys.exit(201)
raise ValueError(rest)
"""

# Holds connections open, in the middle of a request and of a head, until it is killed.
SLOW = """
import socket, sys, time
lines = []
while True:
    for _ in range(20):
        try:
            line = socket.create_connection(("host-1", 7117), timeout=2)
            line.sendall(b"POST /job/heartbeat HTTP/1.1\\r\\nContent-Length: 100\\r\\n")
            lines.append(line)
        except OSError:
            pass
    print("holding", len(lines), flush=True)
    time.sleep(0.5)
"""
# Says who is at the other end of each connection.
WHO = """
import socket
from trainer.launch.rendezvous.origin import Origin
server = socket.create_server(("", 7117))
print("listening", flush=True)
while True:
    print(Origin.of(server.accept()[0]), flush=True)
"""
# Connects from the port at which the other end listens itself.
FROM = """
import socket
line = socket.create_connection(("host-1", 7117), source_address=("", 7117))
line.recv(1)
"""

SOON = 10.0
# Where it does not matter how long it takes, hosts count as lost sooner.
HASTY = {"lost_after": 2.5}


class Jobs:
    """Starts launchers on hosts, and instructs the processes that they start."""

    def __init__(self, folder: Path, net: Hosts) -> None:
        self.net = net
        self.folder = folder
        self._pipes: dict[str, int] = {}
        for role in ("chief", "worker", "ps", "evaluator"):
            for index in range(4):
                self._make(f"{role}{index}")
        self._make("go")

    def _make(self, name: str) -> None:
        os.mkfifo(self.folder / name)
        self._pipes[name] = os.open(self.folder / name, os.O_RDWR)

    def close(self) -> None:
        for pipe in self._pipes.values():
            os.close(pipe)

    def instruct(self, name: str, what: str) -> None:
        os.write(self._pipes[name], f"{what}\n".encode())

    def start(
        self, host: int, cluster: Cluster, *, stubborn: str = "", timeouts=None, **job
    ) -> Running:
        given = {"cluster": cluster.to_json(), "job": {"grace": 60.0, **job}}
        given["timeouts"] = timeouts or {}
        argv = ["-c", DRIVER, json.dumps(given), "-c", PROCESS, str(self.folder), stubborn]
        return self.net.start(host, [sys.executable, "-u", *argv])


@pytest.fixture
def jobs(tmp_path, hosts):  # noqa: F811
    made = []

    def make(count: int) -> Jobs:
        made.append(Jobs(tmp_path, hosts(count)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def place(role: str, index: int = 0, **listed: list[str]) -> Cluster:
    return Cluster(role=role, index=index, **{name: tuple(found) for name, found in listed.items()})


def equals(count: int) -> list[Cluster]:
    """Hosts that all train, as SageMaker lists them."""
    names = [f"host-{i + 1}" for i in range(count)]
    listed = {"chief": names[:1], "worker": names[1:]}
    return [place("worker" if i else "chief", max(0, i - 1), **listed) for i in range(count)]


MIRRORED = {"distribution": "multi_worker_mirrored"}
SERVED = {"distribution": "parameter_server"}


def pids(running: Running, count: int) -> dict[str, int]:
    """Ids of the first processes of a launcher, by name, as they say that they are there."""
    found = {}
    while len(found) < count:
        match = running.line(r"^\[(.+)\] ready (\d+)")
        found[match[1]] = int(match[2])
    return found


def all_gone(net: Hosts, count: int) -> bool:
    return not any(net.pids(i) for i in range(count))


# ---- how hosts meet


def test_each_host_starts_its_own_and_all_know_all(jobs):
    job = jobs(2)
    first, second = (
        job.start(i, c, processes_per_host=2, **MIRRORED) for i, c in enumerate(equals(2))
    )
    everyone = "host-1:7118 host-1:7119 host-2:7120 host-2:7121"
    for host, running, ranks in (("host-1", first, "01"), ("host-2", second, "23")):
        for _ in ranks:
            match = running.line(r"^\[(\S+) rank (\d)\] ready \d+ (.+)")
            assert match[1] == host
            assert match[2] in ranks
            assert match[3] == everyone
    for name in ("worker2", "worker1", "worker0", "chief0"):
        job.instruct(name, "exit 0")
    assert [running.wait(SOON) for running in (first, second)] == [0, 0]
    assert all_gone(job.net, 2)


def test_a_host_that_comes_late_is_waited_for(jobs):
    job = jobs(2)
    chief, worker = equals(2)
    first = job.start(0, chief, timeouts={"progress": 0.5}, **MIRRORED)
    first.line(r"^trainer: waiting for worker 0 \(host-2\): 1 s$")
    second = job.start(1, worker, **MIRRORED)
    pids(first, 1)
    pids(second, 1)
    for name in ("chief0", "worker0"):
        job.instruct(name, "exit 0")
    assert (first.wait(SOON), second.wait(SOON)) == (0, 0)


def test_a_chief_that_comes_late_is_waited_for(jobs):
    job = jobs(2)
    chief, worker = equals(2)
    second = job.start(1, worker, timeouts={"progress": 0.5}, **MIRRORED)
    second.line(r"^trainer: waiting for the chief at host-1:7117: 1 s, Connection refused$")
    first = job.start(0, chief, **MIRRORED)
    pids(first, 1)
    pids(second, 1)
    for name in ("chief0", "worker0"):
        job.instruct(name, "exit 0")
    assert (first.wait(SOON), second.wait(SOON)) == (0, 0)


def test_a_host_that_never_comes_is_named_by_all_others(jobs):
    job = jobs(3)
    chief, present, _ = equals(3)
    running = [
        job.start(i, c, start_timeout=1.5, **MIRRORED) for i, c in ((0, chief), (1, present))
    ]
    for each in running:
        assert each.wait(SOON) == 200
        assert each.lines[-1] == (
            "trainer: failed: host host-3, worker 1: did not come within 1.5 s (--start-timeout)"
        )
        assert "ready" not in each.text()


def test_a_chief_that_never_comes_is_named(jobs):
    job = jobs(2)
    running = job.start(1, equals(2)[1], start_timeout=1.0, **MIRRORED)
    assert running.wait(SOON) == 200
    assert running.lines == [
        "trainer: host host-1, chief failed",
        "trainer: failed: host host-1, chief: cannot be reached at port 7117 within 1 s "
        "(--start-timeout): Connection refused",
    ]


def test_a_port_that_is_taken_is_named_with_its_flag(jobs):
    job = jobs(1)
    listen = "import socket, time; s = socket.create_server(('', 7117)); print('up', flush=True)"
    taker = job.net.start(0, [sys.executable, "-c", listen + "; time.sleep(600)"])
    taker.line("up")
    running = job.start(0, equals(2)[0], **MIRRORED)
    assert running.wait(SOON) == 1
    assert running.lines[-1] == (
        "trainer.config.errors.UserError: --port 7117: the hosts cannot meet there: another "
        "program listens there; choose another port, the same on all hosts"
    )


def test_hosts_that_contradict_each_other_all_fail(jobs):
    job = jobs(2)
    chief, worker = equals(2)
    running = [job.start(0, chief, **MIRRORED), job.start(1, worker, **SERVED)]
    for each in running:
        assert each.wait(SOON) == 2
        assert each.lines[-1] == (
            "trainer: failed: host host-2, worker 0: --distribution: parameter_server on host "
            "host-2 (worker 0), multi_worker_mirrored on host host-1 (chief 0); set the same on "
            "all hosts"
        )


def test_a_host_that_is_stopped_while_it_waits_leaves_and_the_others_do_not_wait_on(jobs):
    job = jobs(3)
    chief, worker, _ = equals(3)
    first = job.start(0, chief, timeouts={"progress": 0.2}, **MIRRORED)
    first.line(r"^trainer: waiting for worker 0 \(host-2\), worker 1 \(host-3\)")
    second = job.start(1, worker, **MIRRORED)
    first.line(r"^trainer: waiting for worker 1 \(host-3\)")
    second.send_signal(signal.SIGTERM)
    for each in (first, second):
        assert each.wait(SOON) == 143
        assert each.lines[-1] == (
            "trainer: failed: host host-2, worker 0: was told to end before the job was done"
        )


# ---- failures


def test_a_rank_that_is_killed_ends_all_hosts_and_is_named_by_all(jobs):
    job = jobs(2)
    stubborn = "chief0 worker0 worker1"
    running = [
        job.start(i, c, processes_per_host=2, stubborn=stubborn, **MIRRORED)
        for i, c in enumerate(equals(2))
    ]
    pids(running[0], 2)
    victim = pids(running[1], 2)["host-2 rank 3"]
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    for each in running:
        assert each.wait(SOON) == 137
        assert each.lines[-1].startswith(
            "trainer: failed: host host-2, rank 3: rank 3 ended by signal 9, exit code 137 (killed"
        )
        assert "LEFT BEHIND" not in each.text()
    assert time.monotonic() - began < SOON
    assert all_gone(job.net, 2)


def test_the_root_cause_counts_and_not_the_secondary_failure_that_came_first(jobs):
    job = jobs(2)
    running = [job.start(i, c, stubborn="worker0", **MIRRORED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 1)
    # The worker has closed its connections already, but not yet ended.
    job.instruct("chief0", "peer")
    running[0].line("rank 0 failed")
    job.instruct("worker0", "raise bad label 11")
    for each in running:
        assert each.wait(SOON) == 1
        assert each.lines[-1].startswith(
            "trainer: failed: host host-2, rank 1: ValueError: bad label 11; at <string> line"
        )


def test_a_secondary_failure_counts_where_nothing_else_comes(jobs):
    job = jobs(2)
    running = [job.start(i, c, **MIRRORED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 1)
    job.instruct("chief0", "peer")
    for each in running:
        assert each.wait(SOON) == 200
        assert "host host-1, rank 0: trainer: failed: another process is gone" in each.lines[-1]


@pytest.mark.parametrize("lost", [0, 1], ids=["chief", "worker"])
def test_a_host_that_is_lost_ends_all_others(jobs, lost):
    job = jobs(3)
    running = [job.start(i, c, stubborn="worker1", **MIRRORED) for i, c in enumerate(equals(3))]
    for each in running:
        pids(each, 1)
    began = time.monotonic()
    job.net.lose(lost)
    for i in {0, 1, 2} - {lost}:
        assert running[i].wait(SOON) == 200
        assert f"host-{lost + 1}" in running[i].lines[-1]
        assert "no sign of life any more" in running[i].lines[-1]
    assert time.monotonic() - began < SOON
    assert all_gone(job.net, 3)


def test_a_host_that_is_lost_is_named_though_others_only_see_a_broken_connection(jobs):
    job = jobs(3)
    running = [job.start(i, c, **MIRRORED) for i, c in enumerate(equals(3))]
    for each in running:
        pids(each, 1)
    job.net.lose(2)
    job.instruct("worker0", "peer")
    for each in running[:2]:
        assert each.wait(SOON) == 200
        assert "host host-3, worker 1: no sign of life any more" in each.lines[-1]


def test_a_chief_that_is_lost_is_named_though_others_only_see_a_broken_connection(jobs):
    job = jobs(2)
    running = [job.start(i, c, **MIRRORED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 1)
    job.net.lose(0)
    job.instruct("worker0", "peer")
    assert running[1].wait(SOON) == 200
    assert "host host-1, chief: no sign of life any more" in running[1].lines[-1]


def test_a_launcher_that_is_started_again_ends_the_job_at_once(jobs):
    job = jobs(2)
    clusters = equals(2)
    first, second = (job.start(i, c, **MIRRORED) for i, c in enumerate(clusters))
    pids(first, 1)
    pids(second, 1)
    job.net.lose(1)
    job.net.plug(1)
    again = job.start(1, clusters[1], **MIRRORED)
    for each in (first, again):
        assert each.wait(SOON) == 200
        assert "started a second time" in each.lines[-1]


# ---- newcomers


def test_whoever_comes_to_a_running_job_is_refused_and_the_job_goes_on(jobs):
    job = jobs(3)
    clusters = equals(2)
    running = [job.start(i, c, **MIRRORED) for i, c in enumerate(clusters)]
    for each in running:
        pids(each, 1)
    unlisted = place("worker", 5, chief=["host-1"], worker=[f"host-{i}" for i in range(2, 8)])
    ps = {"chief": ["host-1"], "worker": ["host-2"], "ps": ["host-3"]}
    newcomers = [
        # The same once more; with another spec; not listed; an evaluator.
        (job.start(2, clusters[1], **MIRRORED), "worker 0: .*has joined already from host host-2"),
        (job.start(2, clusters[1], **SERVED), "worker 0: .*--distribution: parameter_server"),
        (job.start(2, unlisted, **MIRRORED), "worker 5: .*worker-5 is none of those whom"),
        (job.start(2, place("evaluator", **ps), **SERVED), "evaluator 0: .*evaluator-0 is none"),
    ]
    for newcomer, reason in newcomers:
        assert newcomer.wait(2 * SOON) == 2
        (line,) = newcomer.lines
        assert re.match(f"trainer: failed: host .*, {reason}", line), line
        assert ": refused by the chief at host-1:7117: " in line
    # All have heard of them, and nothing else has become of it.
    running[1].line("^trainer: host .*, evaluator 0, was refused: ")
    for name in ("chief0", "worker0"):
        job.instruct(name, "exit 0")
    assert [each.wait(SOON) for each in running] == [0, 0]
    assert "sign of life" not in running[0].text()


def test_who_is_not_listed_is_refused_while_all_are_waited_for(jobs):
    job = jobs(3)
    clusters = equals(2)
    first = job.start(0, clusters[0], **MIRRORED)
    stranger = place("worker", 1, chief=["host-1"], worker=["host-2", "host-3"])
    newcomer = job.start(2, stranger, **MIRRORED)
    assert newcomer.wait(SOON) == 2
    assert "worker-1 is none of those" in newcomer.lines[-1]
    second = job.start(1, clusters[1], **MIRRORED)
    for each in (first, second):
        pids(each, 1)
    for name in ("chief0", "worker0"):
        job.instruct(name, "exit 0")
    assert [each.wait(SOON) for each in (first, second)] == [0, 0]


def test_hosts_with_one_secret_are_a_job_that_no_other_joins(jobs):
    job = jobs(3)
    clusters = equals(3)
    running = [job.start(i, clusters[i], secret="s3cret", **MIRRORED) for i in range(2)]
    for reason, secret in [("another TRAINER_SECRET is", "x"), ("TRAINER_SECRET is set", None)]:
        newcomer = job.start(2, clusters[2], secret=secret, **MIRRORED)
        assert newcomer.wait(SOON) == 2
        (line,) = newcomer.lines
        assert line.startswith("trainer: failed: host host-3, worker 1: refused by the chief at ")
        assert f":7117: {reason} " in line
    running.append(job.start(2, clusters[2], secret="s3cret", **MIRRORED))
    for each in running:
        pids(each, 1)
    job.instruct("worker1", "raise no such luck")
    assert [each.wait(SOON) for each in running] == [1, 1, 1]
    for each in running:
        assert "host host-3, rank 2: ValueError: no such luck" in each.text()
        assert "s3cret" not in each.text()


def test_a_job_ends_as_always_whoever_reaches_its_port(jobs):
    job = jobs(3)
    clusters = equals(2)
    running = [job.start(i, c, **MIRRORED) for i, c in enumerate(clusters)]
    for each in running:
        pids(each, 1)
    slow = job.net.start(2, [sys.executable, "-S", "-u", "-c", SLOW])
    slow.line("holding")
    attackers = [
        job.net.start(2, program("host-1", count=400, seed=1)),
        job.net.start(0, program("host-1", count=400, seed=2, user=NOBODY)),
        job.net.start(1, program("host-1", count=400, seed=3, user=NOBODY)),
    ]
    for each in attackers:
        assert each.wait(90) == 0, each.text()
    slow.kill()
    job.instruct("worker0", "raise no such luck")
    for each in running:
        assert each.wait(SOON) == 1
        assert "host host-2, rank 1: ValueError: no such luck" in each.lines[-1]
        assert all(line.isprintable() for line in each.lines)
        assert len([line for line in each.lines if "was refused" in line]) <= 10


def test_a_port_of_ones_own_at_the_other_end_makes_nobody_this_user(hosts):  # noqa: F811
    """Where it has no such socket, the kernel finds the one that listens at that port."""
    net = hosts(2)
    server = net.start(0, [sys.executable, "-u", "-c", WHO])
    server.line("listening")
    net.start(1, [sys.executable, "-S", "-c", FROM])
    assert "address='10.77.0.2', user=None" in server.line("Origin").string


def test_a_program_that_cannot_be_started_is_named_on_all_hosts(jobs, tmp_path):
    job = jobs(2)
    chief, worker = equals(2)
    first = job.start(0, chief, **MIRRORED)
    given = {"cluster": worker.to_json(), "timeouts": {}, "job": MIRRORED}
    driver = DRIVER.replace("sys.executable, ", "'/no/such/program', ")
    second = job.net.start(1, [sys.executable, "-c", driver, json.dumps(given)])
    for each in (first, second):
        assert each.wait(SOON) == 2
        assert each.lines[-1] == (
            "trainer: failed: host host-2, launcher: host-2 rank 1: cannot start "
            "/no/such/program: No such file or directory"
        )


# ---- the end of a job that went well


def test_the_chiefs_host_ends_last(jobs):
    job = jobs(3)
    running = [
        job.start(i, c, stubborn="worker1", timeouts={"server_grace": 60.0}, **SERVED)
        for i, c in enumerate(equals(3))
    ]
    for each in running:
        pids(each, 2)
    job.instruct("chief0", "exit 0")
    assert running[1].wait(SOON) == 0
    until = time.monotonic() + 1
    while time.monotonic() < until:
        # A worker of the last host takes its time.
        assert running[0].runs()
    job.instruct("worker1", "exit 0")
    assert [each.wait(SOON) for each in running] == [0, 0, 0]
    # Servers and workers had their signal.
    assert [sum("told to end" in line for line in each.lines) for each in running] == [1, 2, 1]


def test_the_chiefs_code_is_that_of_hosts_that_only_help(jobs):
    job = jobs(2)
    running = [job.start(i, c, **SERVED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 2)
    job.instruct("chief0", "exit 143")
    assert [each.wait(SOON) for each in running] == [143, 143]
    assert "failed" not in running[0].text() + running[1].text()


def test_a_rank_that_does_not_end_after_the_chief_is_ended_and_no_failure(jobs):
    job = jobs(2)
    running = [
        job.start(i, c, stubborn="worker0", timeouts={"trainer_grace": 0.3}, **MIRRORED)
        for i, c in enumerate(equals(2))
    ]
    for each in running:
        pids(each, 1)
    job.instruct("chief0", "exit 0")
    assert [each.wait(SOON) for each in running] == [0, 0]
    assert "trainer: not ended in time, killed: host-2 rank 1" in running[1].lines


def test_one_host_alone_has_all_roles(jobs):
    job = jobs(1)
    running = job.start(0, Cluster(), processes_per_host=2, **SERVED)
    found = pids(running, 4)
    assert [name.partition(" ")[2] for name in sorted(found)] == [
        "chief",
        "ps 0",
        "worker 0",
        "worker 1",
    ]
    job.instruct("chief0", "exit 0")
    assert running.wait(SOON) == 0


def test_an_evaluator_that_nobody_lists_may_look_at_the_last_checkpoint(jobs):
    job = jobs(3)
    listed = {"chief": ["host-1:2222"], "worker": ["host-2:2222"], "ps": ["host-2:2223"]}
    clusters = [
        (0, place("chief", **listed)),
        (1, place("worker", **listed)),
        (1, place("ps", **listed)),
        (2, place("evaluator", **listed)),
    ]
    running = [job.start(i, c, **SERVED) for i, c in clusters]
    for each in running:
        pids(each, 1)
    job.instruct("chief0", "exit 0")
    evaluator = running[3]
    evaluator.line(r"^\[\S+ evaluator 0\] told to end")
    # The chief's host waits for it, all others have gone.
    assert [each.wait(SOON) for each in running[1:3]] == [0, 0]
    assert running[0].runs()
    job.instruct("go", "")
    assert evaluator.wait(SOON) == 0
    assert "evaluated the last" in evaluator.text()
    assert running[0].wait(SOON) == 0


# ---- SIGTERM


def test_equals_are_stopped_by_their_own_launcher_and_end_with_their_own_code(jobs):
    job = jobs(2)
    running = [job.start(i, c, stopped_code=143, **MIRRORED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 1)
    running[0].send_signal(signal.SIGTERM)
    running[0].line(r"^\[host-1 rank 0\] told to end")
    # The ranks agree to stop.
    job.instruct("worker0", "exit 143")
    assert [each.wait(SOON) for each in running] == [143, 143]
    assert not any("failed" in line for each in running for line in each.lines)


def test_servers_stay_until_the_chief_has_saved(jobs):
    job = jobs(2)
    running = [job.start(i, c, stubborn="chief0", **SERVED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 2)
    # Told on the host of the worker and of a server; it is the chief who stops.
    running[1].send_signal(signal.SIGTERM)
    running[0].line("^trainer: host host-2 was told to end; so is the chief")
    assert "told to end" not in "".join(line for line in running[1].lines if line[0] == "[")
    job.instruct("chief0", "exit 143")
    assert [each.wait(SOON) for each in running] == [143, 143]
    assert sum(line.endswith("] told to end") for line in running[1].lines) == 2


def test_a_workers_host_that_alone_is_stopped_goes_alone(jobs):
    job = jobs(3)
    running = start_served(job, timeouts={"chief_stop": 0.3})
    for each in running:
        pids(each, 1)
    running[1].send_signal(signal.SIGTERM)
    assert running[1].wait(SOON) == 143
    running[0].line("^trainer: host host-2, worker 0, was told to end$")
    job.instruct("chief0", "exit 0")
    assert [running[0].wait(SOON), running[2].wait(SOON)] == [0, 0]


def test_a_workers_host_that_is_stopped_with_the_chiefs_stays_until_it_has_saved(jobs):
    job = jobs(3)
    running = start_served(job, timeouts={"chief_stop": 0.3}, stubborn="chief0")
    for each in running:
        pids(each, 1)
    running[0].send_signal(signal.SIGTERM)
    running[0].line("^trainer: SIGTERM")
    running[1].send_signal(signal.SIGTERM)
    running[1].line("^trainer: SIGTERM")
    with pytest.raises(BaseException, match="told to end"):
        running[1].line("told to end", timeout=1.0)
    job.instruct("chief0", "exit 143")
    assert [each.wait(SOON) for each in running] == [143, 143, 143]


# ---- parameter servers


def served(worker: str = "host-2:2222") -> dict[str, list[str]]:
    """As Google lists them: the worker on a host of its own."""
    return {"chief": ["host-1:2222"], "worker": [worker], "ps": ["host-3:2222"]}


def start_served(job: Jobs, timeouts=HASTY, **more) -> list[Running]:
    places = [place(role, **served()) for role in ("chief", "worker", "ps")]
    more = {**SERVED, **more, "timeouts": timeouts}
    return [job.start(i, where, **more) for i, where in enumerate(places)]


def test_a_worker_that_is_killed_is_started_again_and_the_job_goes_on(jobs):
    job = jobs(3)
    running = start_served(job)
    pids(running[0], 1)
    for _ in range(3):
        os.kill(pids(running[1], 1)["host-2 worker 0"], signal.SIGKILL)
        running[1].line("^trainer: host-2 worker 0 ended with 137; it is started again")
    pids(running[1], 1)
    job.instruct("chief0", "exit 0")
    assert [each.wait(SOON) for each in running] == [0, 0, 0]


def test_a_worker_that_ends_again_and_again_ends_the_job(jobs):
    job = jobs(3)
    running = start_served(job)
    for _ in range(4):
        pids(running[1], 1)
        job.instruct("worker0", "raise no such luck")
    for each in running:
        assert each.wait(SOON) == 1
        assert "host host-2, worker 0: ValueError: no such luck" in each.lines[-1]


def test_a_workers_host_may_go_and_come_back(jobs):
    job = jobs(3)
    running = start_served(job)
    for each in running:
        pids(each, 1)
    job.net.lose(1)
    running[0].line(
        "^trainer: host host-2, worker 0: no sign of life.*; the job goes on without it"
    )
    job.net.plug(1)
    back = job.start(1, place("worker", **served()), **SERVED)
    pids(back, 1)
    running[0].line("^trainer: host host-2, worker 0, is back")
    job.instruct("chief0", "exit 0")
    assert [each.wait(SOON) for each in (running[0], back, running[2])] == [0, 0, 0]


def test_a_workers_host_that_is_cut_off_for_a_while_goes_on(jobs):
    job = jobs(3)
    # Only the coordinator, on the first host, is to be hasty.
    places = [place(role, **served()) for role in ("chief", "worker", "ps")]
    times = [HASTY, {"lost_after": 60.0}, {"lost_after": 60.0}]
    running = [job.start(i, places[i], timeouts=times[i], **SERVED) for i in range(3)]
    for each in running:
        pids(each, 1)
    job.net.unplug(1)
    running[0].line("^trainer: host host-2, worker 0: no sign of life")
    job.net.plug(1)
    running[0].line("^trainer: host host-2, worker 0, is back")
    job.instruct("chief0", "exit 0")
    assert [each.wait(SOON) for each in running] == [0, 0, 0]


def test_a_launcher_that_gets_no_processor_for_a_while_is_not_lost(jobs):
    """Its kernel still answers; that of a host which is gone does not."""
    job = jobs(4)
    listed = {"chief": ["host-1"], "worker": ["host-2", "host-3"], "ps": ["host-4"]}
    tasks = ("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0)
    running = [
        job.start(i, place(*task, **listed), timeouts=HASTY, **SERVED)
        for i, task in enumerate(tasks)
    ]
    for each in running:
        pids(each, 1)
    running[1].send_signal(signal.SIGSTOP)
    job.net.unplug(2)
    # By then the other one has been silent for as long.
    running[0].line("^trainer: host host-3, worker 1: no sign of life any more")
    running[1].send_signal(signal.SIGCONT)
    job.instruct("chief0", "exit 0")
    assert [running[i].wait(SOON) for i in (0, 1, 3)] == [0, 0, 0]
    assert not [line for line in running[0].lines if "host host-2" in line]


def test_a_launcher_that_hangs_ends_the_job(jobs):
    job = jobs(2)
    hasty = {**HASTY, "hung_after": 4.0}
    running = [job.start(i, c, timeouts=hasty, **MIRRORED) for i, c in enumerate(equals(2))]
    for each in running:
        pids(each, 1)
    running[1].send_signal(signal.SIGSTOP)
    assert running[0].wait(3 * SOON) == 200
    assert "host host-2, worker 0: no sign of life of its launcher" in running[0].lines[-1]
    running[1].send_signal(signal.SIGCONT)
    assert running[1].wait(SOON) == 200


def test_a_server_that_is_lost_makes_all_begin_anew(jobs, tmp_path):
    job = jobs(3)
    more = {"checkpoint_dir": str(tmp_path), "restarts": 1}
    running = start_served(job, stubborn="chief0 worker0", **more)
    pids(running[0], 1)
    pids(running[1], 1)
    os.kill(pids(running[2], 1)["host-3 ps 0"], signal.SIGKILL)
    for each in running:
        each.line("host host-3, ps 0: .*; all begin anew from the last checkpoint$", timeout=SOON)
        pids(each, 1)
    # The chief may see it first.
    job.instruct("chief0", "exit 200")
    for each in running:
        assert each.wait(SOON) == 200
        assert "host host-1, chief: " in each.lines[-1]
    assert all_gone(job.net, 3)


def test_a_chief_that_cannot_reach_a_server_makes_all_begin_anew(jobs, tmp_path):
    job = jobs(2)
    running = [
        job.start(i, c, checkpoint_dir=str(tmp_path), **SERVED) for i, c in enumerate(equals(2))
    ]
    for again in (False, True):
        for each in running:
            pids(each, 2)
        job.instruct("chief0", "exit 0" if again else "exit 200")
    assert [each.wait(SOON) for each in running] == [0, 0]


def test_without_checkpoints_a_lost_server_is_for_a_new_try(jobs):
    job = jobs(3)
    running = start_served(job)
    for each in running[:2]:
        pids(each, 1)
    os.kill(pids(running[2], 1)["host-3 ps 0"], signal.SIGKILL)
    for each in running:
        assert each.wait(SOON) == 200
        assert "host host-3, ps 0: ps 0 ended by signal 9" in each.lines[-1]


def test_a_servers_host_that_is_lost_is_for_a_new_try(jobs, tmp_path):
    job = jobs(3)
    running = start_served(job, checkpoint_dir=str(tmp_path))
    for each in running:
        pids(each, 1)
    job.net.lose(2)
    for each in running[:2]:
        assert each.wait(SOON) == 200
        assert "host host-3, ps 0: no sign of life" in each.lines[-1]
