"""Real pipes and processes: what a program prints where nobody reads it ends nothing."""

import fcntl
import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

DEADLINE = 60
TRAINER = [sys.executable, "-m", "trainer"]
GUARDED = """
import os, sys
from trainer.runtime.std_streams import guarded_streams
with guarded_streams() as streams:
    streams.never_wait()
{body}
"""


def script(body: str) -> list[str]:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return [sys.executable, "-c", GUARDED.format(body=lines)]


def test_an_unread_pipe_holds_nothing_up_and_what_is_dropped_is_counted_once_it_flows():
    body = """
for i in range(40_000):
    print("line", i, "x" * 60)
sys.stdout.flush()
print("written", file=sys.stderr)
sys.stdin.readline()
print("last", flush=True)
"""
    pipe = subprocess.PIPE
    with subprocess.Popen(script(body), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr.readline() == "written\n"
        process.stdin.write("\n")
        lines = process.communicate(timeout=DEADLINE)[0].splitlines()
    assert process.returncode == 0
    (note,) = [line for line in lines if line.startswith("trainer: warning: ")]
    dropped = int(re.fullmatch(r".* (\d+) lines were dropped, as nobody read .*", note)[1])
    read = [line for line in lines if line.startswith("line ")]
    assert dropped > 0
    assert [line.split()[1] for line in read] == [str(i) for i in range(len(read))]
    # The last line came while the pipe was still full.
    assert len(read) + ("last" in lines) + dropped == 40_001


@pytest.fixture
def stuck():
    """The writing end of a pipe that is full and never read."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)
    yield writing
    os.close(reading)
    os.close(writing)


@pytest.mark.slow
def test_lines_that_nobody_has_read_by_the_end_are_mentioned_on_the_other_stream(stuck):
    ran = subprocess.run(
        script("print('one'); print('two')"),
        stdout=stuck, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0
    assert ran.stderr == (
        "trainer: warning: 2 lines were dropped, as nobody read standard output\n"
    )


def shell(command: list[str], redirect: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["/bin/sh", "-c", f'"$@" {redirect}', "sh", *command],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full 2>/dev/full"])
def test_closed_and_full_streams_raise_nothing(redirect, tmp_path):
    body = f"""
file = open({str(tmp_path / "data")!r}, "w")
assert file.fileno() > 2
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
os.write(1, b"") if {"/dev/full" not in redirect} else None
file.write("data")
file.close()
"""
    assert shell(script(body), redirect).returncode == 0
    assert (tmp_path / "data").read_text() == "data"


def test_a_full_disk_below_standard_output_is_said_once():
    ran = shell(script("for i in range(9): print('x', flush=True)"), ">/dev/full")
    assert ran.returncode == 0
    assert ran.stderr == "trainer: warning: output is lost: No space left on device\n"


@pytest.mark.parametrize(("unbuffered", "read"), [("1", "out\n"), ("", "")])
def test_what_python_does_not_buffer_is_not_buffered_here(unbuffered, read):
    ran = subprocess.run(
        script("print('out'); os._exit(0)"),
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        capture_output=True, text=True, timeout=DEADLINE, check=True,
    )  # fmt: skip
    assert ran.stdout == read


FULL = "trainer: failed: standard output: No space left on device\n"


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["train", "--dry-run"]])
@pytest.mark.parametrize(
    ("redirect", "code", "said"), [(">/dev/full", 1, FULL), (">&-", 0, ""), ("| true", 0, "")]
)
def test_a_verb_that_only_prints_fails_in_one_line(argv, redirect, code, said):
    ran = shell([*TRAINER, *argv], redirect)
    assert (ran.returncode, ran.stderr) == (code, said)


def test_a_mistake_that_nobody_reads_keeps_its_code():
    argv = [*TRAINER, "train", "--train", "nowhere", "--test", "nowhere"]
    for redirect in (">/dev/full 2>/dev/full", ">&- 2>&-"):
        assert shell(argv, redirect).returncode == 2


def test_within_a_program_whose_streams_are_others_nothing_is_changed(capsys):
    from trainer.runtime.std_streams import guarded_streams

    before = sys.stdout
    with guarded_streams() as streams:
        assert streams is None
        assert sys.stdout is before
