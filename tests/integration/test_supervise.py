"""Real processes and real signals: what the supervisor does as the main process of a container."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEADLINE = 30.0

# Runs what it is given, and says how that ended and whether any child is left to it.
DRIVER = """
import dataclasses, json, os, sys
from trainer.launch.supervise.api import Command, run_supervised
from trainer.launch.timeouts import Timeouts
given = json.loads(sys.argv[1])
timeouts = Timeouts(**given.get("timeouts", {}))
commands = [
    Command(argv=tuple(argv), env=dict(os.environ), name=f"rank {i}")
    for i, argv in enumerate(given["commands"])
]
outcome = dataclasses.asdict(
    run_supervised(
        commands, grace=given["grace"], prefix=given["prefix"], timeouts=timeouts
    )
)
try:
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    outcome["left"] = True
except ChildProcessError:
    outcome["left"] = False
with open(given["result"], "w") as file:
    json.dump(outcome, file)
sys.exit(outcome["code"])
"""

HEED = """
import os, signal, sys
def stop(number, frame):
    print("got", signal.Signals(number).name, flush=True)
"""
# Waits for signals, and says when it is ready to get them.
WAIT = """
print("ready", os.getpid(), flush=True)
while True:
    signal.pause()
"""
STUBBORN = HEED + "signal.signal(signal.SIGTERM, stop)" + WAIT


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, *commands: list[str], start=(), **given):
        self.result = folder / "outcome.json"
        given = {"grace": 100, "prefix": False, **given, "result": str(self.result)}
        given["commands"] = commands
        self.process = subprocess.Popen(
            [*start, sys.executable, "-c", DRIVER, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        self.text = b""
        self.until = time.monotonic() + DEADLINE

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def read(self) -> bool:
        """Read on; False at the end."""
        left = max(0, self.until - time.monotonic())
        if not select.select([self.fd], [], [], left)[0]:
            pytest.fail(f"nothing more within {DEADLINE} s after: {self.text.decode()}")
        data = os.read(self.fd, 65536)
        self.text += data
        return bool(data)

    def line(self, pattern: str) -> re.Match:
        """The next line that matches; what is before it is not looked at again."""
        while True:
            for found in re.finditer(rb"[^\n]*\n", self.text):
                match = re.match(pattern, found[0].decode())
                if match:
                    self.text = self.text[found.end() :]
                    return match
            if not self.read():
                pytest.fail(f"ended without a line {pattern!r}: {self.text.decode()}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> dict:
        """Wait for the end; the outcome, once it is sure that nothing is left."""
        while self.read():
            pass
        code = self.process.wait(timeout=max(0.1, self.until - time.monotonic()))
        outcome = json.loads(self.result.read_text())
        assert code == outcome["code"]
        assert outcome["left"] is False
        return outcome


def python(script: str, *args: str) -> list[str]:
    return [sys.executable, "-S", "-c", script, *args]


def bash(script: str, *args: str) -> list[str]:
    return ["/bin/bash", "-c", script, *args]


def fifo(path: Path) -> int:
    """A pipe to write to that does not wait for its reader."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat[stat.rindex(")") + 2] != "Z"
    return False


# ---- SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_script_that_is_told_to_end_has_time_to_save(tmp_path, number):
    saved = tmp_path / "saved"
    script = f"""
{HEED}
def save(number, frame):
    stop(number, frame)
    open({str(saved)!r}, "w").write("weights")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
{WAIT}
"""
    with Supervised(tmp_path, python(script)) as run:
        run.line("ready")
        run.signal(number)
        run.line("got SIGTERM")
        outcome = run.end()
    assert saved.read_text() == "weights"
    assert (outcome["code"], outcome["stop_signal"], outcome["failed"]) == (0, number, None)


def test_a_script_without_a_handler_ends_with_143(tmp_path):
    with Supervised(tmp_path, python("import os, signal" + WAIT)) as run:
        run.line("ready")
        run.signal(signal.SIGTERM)
        outcome = run.end()
    assert (outcome["code"], outcome["stop_signal"], outcome["killed"]) == (143, 15, False)


def test_a_script_that_ignores_it_is_killed_after_the_grace(tmp_path):
    with Supervised(tmp_path, python(STUBBORN), grace=0.3) as run:
        pid = int(run.line(r"ready (\d+)")[1])
        began = time.monotonic()
        run.signal(signal.SIGTERM)
        run.line("got SIGTERM")
        run.line("trainer: not ended in time, killed: rank 0")
        outcome = run.end()
    assert time.monotonic() - began >= 0.3
    assert (outcome["code"], outcome["killed"], outcome["failed"]) == (137, True, "rank 0")
    assert not runs(pid)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_all_at_once(tmp_path, second):
    with Supervised(tmp_path, python(STUBBORN), python(STUBBORN), grace=1000) as run:
        pids = [int(run.line(r"ready (\d+)")[1]) for _ in range(2)]
        run.signal(signal.SIGTERM)
        run.line("got SIGTERM")
        run.line("got SIGTERM")
        run.signal(second)
        outcome = run.end()
    assert (outcome["code"], outcome["killed"]) == (137, True)
    assert not any(map(runs, pids))


def test_a_saving_process_under_a_shell_that_has_ended_keeps_its_grace(tmp_path):
    saved = tmp_path / "saved"
    go = fifo(tmp_path / "go")
    # The shell has no trap and ends at once; what it runs takes its time.
    script = f"""
{HEED}
def save(number, frame):
    stop(number, frame)
    open({str(tmp_path / "go")!r}).readline()
    open({str(saved)!r}, "w").write("weights")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
{WAIT}
"""
    wrapped = bash('"$0" -S -c "$1"; exit $?', sys.executable, script)
    with Supervised(tmp_path, wrapped, grace=1000, timeouts={"sibling_grace": 0.1}) as run:
        run.line("ready")
        shell = int(run_children(run.process.pid)[0])
        run.signal(signal.SIGTERM)
        run.line("got SIGTERM")
        pidfd_gone(shell)
        # Longer than those get who are left behind without having been told.
        assert not select.select([run.fd], [], [], 0.4)[0]
        os.write(go, b"\n")
        outcome = run.end()
    assert saved.read_text() == "weights"
    assert b"got SIGTERM" not in run.text
    assert outcome["code"] == 143


def run_children(pid: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = stat.read_text()
            if text[text.rindex(")") + 2 :].split()[1] == str(pid):
                found.append(stat.parent.name)
    return found


def pidfd_gone(pid: int) -> None:
    """Wait until a process has ended."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        assert select.select([fd], [], [], DEADLINE)[0]
        os.close(fd)


# ---- other signals


def test_other_signals_go_to_the_script_as_they_are_and_not_to_its_helpers(tmp_path):
    names = ["SIGHUP", "SIGUSR1", "SIGUSR2"]
    script = f"""
{HEED}
import subprocess
helper = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
for name in {names}:
    signal.signal(getattr(signal, name), stop)
def end(number, frame):
    print("helper", helper.poll(), flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
{WAIT}
"""
    with Supervised(tmp_path, python(script)) as run:
        run.line("ready")
        for name in names:
            run.signal(getattr(signal, name))
            run.line(f"got {name}")
        helper = int(run_children(int(run_children(run.process.pid)[0]))[0])
        assert runs(helper)
        run.signal(signal.SIGTERM)
        assert run.end()["code"] == 5
    assert not runs(helper)


# ---- what is left behind


def test_an_orphan_that_ends_is_reaped_while_the_others_run(tmp_path):
    script = f"""
{HEED}
signal.signal(signal.SIGUSR1, stop)
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(reading, 1)
        os._exit(0)
    os._exit(0)
os.wait()
signal.signal(signal.SIGUSR2, lambda *_: os.write(writing, b"x"))
{WAIT}
"""
    with Supervised(tmp_path, python(script)) as run:
        child = int(run.line(r"ready (\d+)")[1])
        # Adopted: it is no child of the script that began it.
        orphan = next(int(p) for p in run_children(run.process.pid) if int(p) != child)
        fd = os.pidfd_open(orphan)
        run.signal(signal.SIGUSR2)
        assert select.select([fd], [], [], DEADLINE)[0]
        os.close(fd)
        # By the second answer, the message that came before the first has been handled.
        for _ in range(2):
            run.signal(signal.SIGUSR1)
            run.line("got SIGUSR1")
        assert not Path(f"/proc/{orphan}").exists()
        run.signal(signal.SIGTERM)
        run.end()


@pytest.mark.parametrize("stubborn", [False, True], ids=["heeding", "stubborn"])
@pytest.mark.parametrize("session", ["own", "the script's"])
def test_what_a_script_leaves_behind_is_ended(tmp_path, stubborn, session):
    # A daemon as they are made: two forks, and a session of its own between.
    script = f"""
import os, signal, sys
reading, writing = os.pipe()
if os.fork() == 0:
    if {session == "own"}:
        os.setsid()
    if os.fork() == 0:
        if {stubborn}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("daemon", os.getpid(), flush=True)
        os.write(writing, b"x")
        while True:
            signal.pause()
    os._exit(0)
os.read(reading, 1)
sys.exit(6)
"""
    with Supervised(tmp_path, python(script), grace=0.3 if stubborn else 1000) as run:
        daemon = int(run.line(r"daemon (\d+)")[1])
        outcome = run.end()
    assert outcome["code"] == 6
    assert not Path(f"/proc/{daemon}").exists()
    assert (b"killed: 1 left behind" in run.text) == stubborn


# ---- one fails


def test_a_rank_that_fails_ends_the_others_within_a_short_time(tmp_path):
    os.mkfifo(tmp_path / "ready")
    path = str(tmp_path / "ready")
    ready = f"open({path!r}, 'w').write('x')\n"
    other = HEED + "signal.signal(signal.SIGTERM, stop)\n" + ready + WAIT
    failing = f"open({path!r}).read(1)\nraise ValueError('bad label 11')"
    began = time.monotonic()
    with Supervised(tmp_path, python(other), python(failing), grace=0.3, prefix=True) as run:
        # It may come while another line is being printed.
        run.line(r"\[rank 0\] .*got SIGTERM")
        outcome = run.end()
    assert time.monotonic() - began < 10
    assert (outcome["code"], outcome["failed"], outcome["killed"]) == (1, "rank 1", False)
    assert outcome["tail"][0] == "Traceback (most recent call last):"
    assert outcome["tail"][-1] == "ValueError: bad label 11"


def test_a_rank_that_is_killed_from_outside_ends_the_others(tmp_path):
    with Supervised(
        tmp_path, python(STUBBORN), python("import os, signal" + WAIT), grace=0.3
    ) as run:
        pids = [int(run.line(r"ready (\d+)")[1]) for _ in range(2)]
        # Whichever it is.
        os.kill(pids[1], signal.SIGKILL)
        outcome = run.end()
    assert outcome["code"] == 137
    assert not outcome["killed"]
    assert not any(map(runs, pids))


# ---- output


def test_lines_of_many_processes_are_never_mixed(tmp_path):
    script = """
import os, sys
for i in range(5000):
    fd = 1 + i % 2
    line = f"{sys.argv[1]} {i} ".encode() + sys.argv[1].encode() * (i % 400) + b" end\\n"
    # In two pieces, so that another's may come between.
    os.write(fd, line[: i % 13])
    os.write(fd, line[i % 13 :])
"""
    names = "abcd"
    with Supervised(tmp_path, *[python(script, name) for name in names], prefix=True) as run:
        assert run.end()["code"] == 0
    lines = run.text.decode().splitlines()
    assert len(lines) == 4 * 5000
    numbers = {(name, fd): [] for name in names for fd in (0, 1)}
    for line in lines:
        match = re.fullmatch(r"\[rank (\d)\] (\w) (\d+) (\w*) end", line)
        assert match, line
        rank, name, number = int(match[1]), match[2], int(match[3])
        assert names[rank] == name
        assert match[4] == name * (number % 400)
        numbers[name, number % 2].append(number)
    # In their order, and none left out.
    assert all(found == list(range(fd, 5000, 2)) for (_, fd), found in numbers.items())


def test_nobody_reading_does_not_keep_a_signal_from_being_heard(tmp_path):
    script = HEED + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\n"
    endless = python(script + "while True: os.write(1, b'x' * 99 + b'\\n' * 5)")
    with Supervised(tmp_path, endless, grace=1000, timeouts={"output_stall": 0.3}) as run:
        run.line("ready")
        child = int(run_children(run.process.pid)[0])
        run.signal(signal.SIGTERM)
        # Nobody has read on meanwhile; when the child is gone both signals have been heard.
        run.signal(signal.SIGINT)
        pidfd_gone(child)
        run.process.wait(timeout=DEADLINE)
        assert json.loads(run.result.read_text())["killed"]


def test_a_reader_that_goes_away_does_not_end_the_script(tmp_path):
    done = tmp_path / "done"
    go = fifo(tmp_path / "go")
    script = f"echo ready; read < {tmp_path}/go; seq 100000; seq 10 >&2; echo > {done}"
    with Supervised(tmp_path, bash(script)) as run:
        run.line("ready")
        run.process.stdout.close()
        os.write(go, b"\n")
        assert run.process.wait(timeout=DEADLINE) == 0
        run.process.stdout = open(os.devnull, "rb")  # noqa: SIM115, PTH123
    assert done.exists()


def test_a_log_on_a_full_disk_is_told_and_does_not_end_the_script(tmp_path):
    script = """
import os, sys
from trainer.launch.supervise.api import Command, run_supervised
argv = ("/bin/bash", "-c", "echo one; echo two >&2; exit 3")
full = os.open("/dev/full", os.O_WRONLY)
commands = [Command(argv=argv, env={}, name="a")]
sys.exit(run_supervised(commands, grace=1, prefix=False, out=full).code)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE
    )
    assert ran.returncode == 3
    assert ran.stdout == ""
    assert set(ran.stderr.splitlines()) == {
        "two",
        "trainer: warning: output is lost: No space left on device",
    }


def test_output_that_nobody_has_read_by_the_end_is_mentioned(tmp_path):
    script = """
import fcntl, os, sys
from trainer.launch.supervise.api import Command, run_supervised
argv = ("/bin/bash", "-c", "seq 100")
reading, stuck = os.pipe()
fcntl.fcntl(stuck, fcntl.F_SETPIPE_SZ, 4096)
os.write(stuck, b"x" * 4096)
commands = [Command(argv=argv, env={}, name="a")]
sys.exit(run_supervised(commands, grace=1, prefix=False, out=stuck).code)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE
    )
    assert (ran.returncode, ran.stderr) == (
        0,
        "trainer: warning: 100 lines were dropped, as nobody read standard output\n",
    )


# ---- as the first process of a container


UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def container() -> list[str]:
    if not shutil.which("unshare") or subprocess.run([*UNSHARE, "true"], check=False).returncode:
        pytest.skip("needs unshare --pid, which needs root")
    return UNSHARE


def test_as_number_one_it_hears_signals_and_reaps_orphans(tmp_path, container):
    saved = tmp_path / "saved"
    script = f"""
{HEED}
reading, writing = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
def save(number, frame):
    stop(number, frame)
    zombies = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = open("/proc/" + name + "/stat").read()
            zombies += stat[stat.rindex(")") + 2] == "Z"
    open({str(saved)!r}, "w").write(f"parent {{os.getppid()}}, zombies {{zombies}}")
    sys.exit(0)
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, save)
{WAIT}
"""
    with Supervised(tmp_path, python(script), start=container) as run:
        run.line("ready")
        # A child of the one that made the namespace, which itself passes nothing on.
        (first,) = map(int, run_children(run.process.pid))
        for _ in range(2):
            os.kill(first, signal.SIGUSR1)
            run.line("got SIGUSR1")
        os.kill(first, signal.SIGTERM)
        run.line("got SIGTERM")
        outcome = run.end()
    assert (outcome["code"], outcome["stop_signal"]) == (0, signal.SIGTERM)
    assert saved.read_text() == "parent 1, zombies 0"


def test_as_number_one_a_second_signal_ends_at_once(tmp_path, container):
    with Supervised(tmp_path, python(STUBBORN), start=container, grace=1000) as run:
        run.line("ready")
        (first,) = map(int, run_children(run.process.pid))
        os.kill(first, signal.SIGTERM)
        run.line("got SIGTERM")
        os.kill(first, signal.SIGTERM)
        assert run.end()["code"] == 137
