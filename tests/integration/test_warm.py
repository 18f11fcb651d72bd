"""A trainer that is forked with TensorFlow is as one that Python starts."""

import json
import os
import re
import select
import signal
import subprocess
import sys

import pytest
import warm
from namespaces import Running
from processes import TRAINER, environment

pytestmark = pytest.mark.tensorflow
# A module of a user's, which is imported before there is a run.
SHOW = """
import json, os, resource, signal, sys, threading

state = {
    "argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "env": dict(os.environ),
    "file": sys.modules["__main__"].__file__, "parent": os.getppid(),
    "group": os.getpgid(0) == os.getpid(), "session": os.getsid(0) == os.getpid(),
    "signals": {str(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
    "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "threads": threading.active_count(), "umask": os.umask(0o22),
    "nice": os.nice(0), "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "files": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:3],
    "streams": [[s.encoding, s.errors, s.line_buffering, s.write_through, s.fileno(), s.isatty()]
                for s in (sys.stdin, sys.stdout, sys.stderr)],
}
# Functions have their addresses in their names.
state["signals"] = {n: name.partition(" at ")[0] for n, name in state["signals"].items()}
print(json.dumps(state))
print("to standard error", file=sys.stderr)
raise ValueError("the module ends here")
"""
# A module that ends the process as nothing in Python does.
END = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"


def run(start, folder, module, *, flags=("-u",), env=None, **how):
    argv = [TRAINER[0], *flags, *TRAINER[2:], "train", "--module", module, "--steps", "1"]
    with start(
        [*argv, "--model-dir", str(folder / "model")], env=environment(env), cwd=folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how,
    ) as process:  # fmt: skip
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("flags", "how"), [(["-u"], {}), ([], {"start_new_session": True})], ids=["plain", "session"]
)
def test_it_has_the_state_the_streams_and_the_exit_code_of_any_other(tmp_path, flags, how):
    (tmp_path / "show.py").write_text(SHOW)
    env = {"SHOWN": "yes", "TF_CONFIG": ""}
    cold, warmed = (
        run(start, tmp_path, "show", flags=flags, env=env, **how)
        for start in (subprocess.Popen, warm.Popen)
    )
    code, out, err = cold
    assert (code, "to standard error" in err) == (2, True), cold
    first, shown = out.splitlines()
    state = json.loads(shown)
    assert (state["env"]["SHOWN"], state["parent"]) == ("yes", os.getpid())
    other = json.loads(warmed[1].removeprefix(f"{first}\n"))
    assert other == state
    assert warmed[0::2] == (code, err)


def test_a_signal_ends_it_and_is_its_code(tmp_path):
    (tmp_path / "end.py").write_text(END)
    assert run(warm.Popen, tmp_path, "end")[0] == -signal.SIGKILL


def test_it_is_forked_where_nothing_of_its_environment_is_read_early(tmp_path):
    (tmp_path / "show.py").write_text("import sys\nprint(open('/proc/self/cmdline').read())\n1/0\n")
    _, out, _ = run(warm.Popen, tmp_path, "show", env={"AWS_REGION": "eu-west-1"})
    assert "warm_server.py" in out
    _, out, _ = run(warm.Popen, tmp_path, "show", env={"OMP_NUM_THREADS": "1"})
    assert "warm_server.py" not in out


# A module that shows where its process comes from, and waits.
CHILD = """
import json, os, signal
if "TRAINER_TASK" in os.environ:
    command = open("/proc/self/cmdline").read()
    print(json.dumps([os.getpid(), os.getppid(), os.getsid(0), command]), flush=True)
    signal.pause()
"""


def test_what_it_starts_is_its_own_child_forked_too_and_ends_with_it(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    flags = ["--distribution", "multi_worker_mirrored", "--processes-per-host", "2"]
    flags += ["--module", str(tmp_path / "child.py"), "--model-dir", str(tmp_path / "model")]
    running = Running([*TRAINER, "train", *flags], environment(), warm.Popen)
    try:
        shown = [json.loads(running.line(r"\] (\[\d.+)", timeout=120)[1]) for _ in range(2)]
        for pid, parent, session, command in shown:
            assert (parent, session) == (running.pid, pid)
            assert "warm_server.py" in command
        # With the one that is forked.
        assert len(running.children()) == 3
        ended = [os.pidfd_open(pid) for pid in running.children()]
    finally:
        running.close()
    for pidfd in ended:
        assert select.select([pidfd], [], [], 60)[0]
        os.close(pidfd)


SEEN = """
import json, os, socket
names = [socket.gethostbyname(name) for name in ("host-1", "host-2")]
print(json.dumps([os.readlink("/proc/self/ns/net"), os.listdir("/sys/class/net"), names]))
print(json.dumps([open(f"/etc/{name}").read() for name in ("hosts", "resolv.conf")]))
print(json.dumps([line for line in open("/proc/self/mountinfo") if " /sys" in line]))
"""


def test_on_a_host_it_sees_that_host(hosts):
    net = hosts(2)
    cold, warmed = (
        net.start(1, [sys.executable, "-c", SEEN], start=start)
        for start in (subprocess.Popen, warm.Popen)
    )
    assert (cold.wait(120), warmed.wait(120)) == (0, 0), cold.text() + warmed.text()
    # Each mount of a system has numbers of its own.
    first, second = (
        re.sub(r"\d+ \d+ 0:\d+|(shared|master):\d+", "", r.text()) for r in (cold, warmed)
    )
    assert first == second
    assert "eth0" in first
