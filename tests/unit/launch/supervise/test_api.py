import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from trainer.config.errors import UserError
from trainer.launch.supervise.api import TIMED_OUT, Command, run_step, run_supervised
from trainer.launch.supervise.line_reader import LONGEST, LineReader
from trainer.launch.supervise.signals import exiting_on_sigterm
from trainer.launch.timeouts import Timeouts
from trainer.runtime import log
from trainer.runtime.output_writer import OutputWriter, output_writers


def sh(script: str, name: str = "rank 0") -> Command:
    return Command(argv=("/bin/bash", "-c", script), env=dict(os.environ), name=name)


def python(script: str, name: str = "rank 0") -> Command:
    return Command(argv=(sys.executable, "-S", "-c", script), env=dict(os.environ), name=name)


def relayed(*pieces: bytes, name: str = "") -> tuple[bytes, list[str]]:
    """What comes out of a relay, and which lines it keeps, where these are read one by one."""
    reading, writing = os.pipe()
    out_reading, out_writing = os.pipe()
    writer, kept = OutputWriter(out_writing), []
    reader = LineReader(
        os.fdopen(reading, "rb", buffering=0), writer=writer, name=name, keep=kept.append
    )
    out = b""
    for piece in (*pieces, None):
        if piece is None:
            os.close(writing)
        else:
            os.write(writing, piece)
        while reader.is_open and reader.read():
            pass
        while writer.waiting:
            writer.write()
            out += os.read(out_reading, 65536)
    os.close(out_reading)
    os.close(out_writing)
    assert not reader.is_open
    return out, kept


# ---- lines


def test_a_line_is_passed_on_when_it_is_whole():
    reading, writing = os.pipe()
    writer = OutputWriter(-1)
    reader = LineReader(os.fdopen(reading, "rb", buffering=0), writer=writer, name="", keep=print)
    os.write(writing, b"loss=")
    reader.read()
    assert not writer.waiting
    os.write(writing, b"0.5\n")
    reader.read()
    assert writer.waiting
    os.close(writing)
    reader.close()


def test_a_last_line_without_an_end_gets_one():
    assert relayed(b"one\ntwo") == (b"one\ntwo\n", ["one", "two"])


def test_each_line_gets_the_name_of_its_process():
    out, kept = relayed(b"one\n\ntw", b"o\n", name="rank 1")
    assert out == b"[rank 1] one\n[rank 1] \n[rank 1] two\n"
    assert kept == ["one", "", "two"]


def test_the_rank_that_mpirun_names_becomes_a_field_of_a_line_of_json():
    line = b'{"severity": "INFO", "message": "step=1"}'
    out, kept = relayed(b"[1,3]<stdout>:" + line + b"\n[1,0]<stderr>:as it is\n")
    first, second = out.splitlines()
    assert json.loads(first) == {"severity": "INFO", "message": "step=1", "process": "rank 3"}
    assert second == b"[1,0]<stderr>:as it is"
    assert kept == ["[1,3]<stdout>:step=1", "[1,0]<stderr>:as it is"]


def test_progress_is_passed_on_as_it_moves_and_not_kept():
    assert relayed(b"\r 10%", b"\r 20%", b"\r100%\n") == (b"\r 10%\r 20%\r100%\n", ["100%"])


def test_progress_of_several_processes_does_not_overwrite_itself():
    out, _ = relayed(b"\r 10%\r 20%\r", b"100%\n", name="a")
    assert out == b"[a]  10%\n[a]  20%\n[a] 100%\n"


@pytest.mark.parametrize("name", ["", "a"])
@pytest.mark.parametrize("pieces", [(b"one\r\ntwo\r\n",), (b"one\r", b"\ntwo\r\n")])
def test_a_carriage_return_before_a_line_feed_is_one_end(pieces, name):
    out, _ = relayed(*pieces, name=name)
    prefix = b"[a] " if name else b""
    lines = out.replace(b"\r\n", b"\n")
    assert lines == prefix + b"one\n" + prefix + b"two\n"


def test_bytes_that_are_no_text_pass_unchanged():
    out, kept = relayed(b"\xff\xfe\n")
    assert (out, kept) == (b"\xff\xfe\n", ["\ufffd\ufffd"])


def test_a_line_without_end_is_cut_between_characters():
    text = ("x" + "é" * LONGEST).encode()
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    out, kept = relayed(*pieces)
    lines = out.split(b"\n")
    assert out.replace(b"\n", b"") == text
    assert max(map(len, lines)) <= LONGEST
    assert all(line.decode() for line in lines[:-1])
    assert all(len(line) <= 2000 for line in kept)


def test_two_descriptors_of_one_place_share_their_lines(tmp_path):
    with (tmp_path / "log").open("w") as log, (tmp_path / "other").open("w") as other:
        again = os.dup(log.fileno())
        one, two = output_writers(log.fileno(), again)
        assert one is two
        one, two = output_writers(log.fileno(), other.fileno())
        assert one is not two
        os.close(again)


# ---- outcomes


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -SEGV $$", 139), ("kill -9 $$", 137)],
)
def test_the_exit_code_is_kept_and_a_signal_is_128_and_its_number(script, code):
    outcome = run_supervised([sh(script)], grace=1, prefix=False)
    assert outcome.code == code
    assert outcome.failed == ("rank 0" if code else None)
    assert not outcome.killed
    assert outcome.stop_signal is None


def test_nothing_to_run_is_well():
    assert run_supervised([], grace=1, prefix=False).code == 0


def test_the_last_lines_of_standard_error_are_kept(capfd):
    lines = "for i in $(seq 1100); do echo line $i >&2; done; echo out; exit 1"
    outcome = run_supervised([sh(lines)], grace=1, prefix=False)
    assert outcome.tail == tuple(f"line {i}" for i in range(101, 1101))
    out, err = capfd.readouterr()
    assert out == "out\n"
    assert err.splitlines() == [f"line {i}" for i in range(1, 1101)]


def test_no_shell_sees_the_arguments(capfd, tmp_path):
    argv = ("/bin/echo", "a  b", "$(touch x)", "`touch x`", "'\"", "*", "")
    env = dict(os.environ)
    run_supervised([Command(argv=argv, env=env, cwd=tmp_path, name="a")], grace=1, prefix=False)
    assert capfd.readouterr().out == "a  b $(touch x) `touch x` '\" * \n"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_the_one_given_and_standard_input_is_empty(capfd):
    command = Command(argv=("/bin/bash", "-c", "cat; env"), env={"ONLY": "this"}, name="a")
    assert run_supervised([command], grace=1, prefix=False).code == 0
    assert "ONLY=this" in capfd.readouterr().out.splitlines()
    assert "this" not in repr(command)


def test_processes_run_side_by_side(tmp_path, capfd):
    os.mkfifo(tmp_path / "fifo")
    # Each waits for the other to open it.
    write = f"echo hello > {tmp_path}/fifo"
    read = f"cat {tmp_path}/fifo"
    outcome = run_supervised([sh(write, "a"), sh(read, "b")], grace=1, prefix=True, timeout=30)
    assert outcome.code == 0
    assert capfd.readouterr().out == "[b] hello\n"


def test_a_line_of_json_gets_the_name_as_a_field_and_a_failure_is_read_from_its_message(capfd):
    line = '{"severity": "ERROR", "message": "trainer: failed: no"}'
    failing = sh(f"echo '{line}' >&2; echo plain; exit 7", "rank 1")
    outcome = run_supervised([failing], grace=1, prefix=True, timeout=30)
    assert outcome.tail == ("trainer: failed: no",)
    out, err = capfd.readouterr()
    assert out == "[rank 1] plain\n"
    first = json.loads(err.splitlines()[0])
    assert first == json.loads(line) | {"process": "rank 1"}


def test_a_program_that_cannot_be_started_is_told_and_ends_the_others():
    waiting = sh("sleep 1000", "rank 0")
    missing = Command(argv=("/no/such/program",), env={}, name="rank 1")
    message = r"^rank 1: cannot start /no/such/program: No such file or directory$"
    with pytest.raises(UserError, match=message):
        run_supervised([waiting, missing], grace=100, prefix=False)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cwd": "/no/such/folder"}, "/no/such/folder: No such file or directory"),
        ({"argv": ("/bin/echo", "a\0b")}, "embedded null byte"),
        ({"argv": ("/etc/passwd",)}, "Permission denied"),
        ({"argv": ("/bin/echo", "x" * 200_000)}, "Argument list too long"),
    ],
)
def test_what_keeps_a_program_from_starting_is_one_line(change, problem):
    with pytest.raises(UserError, match=problem) as caught:
        run_supervised(
            [Command(**{"argv": ("/bin/true",), "env": {}, "name": "a", **change})],
            grace=1,
            prefix=False,
        )
    assert "\n" not in str(caught.value)


def test_a_timeout_ends_them(capfd):
    outcome = run_supervised([sh("echo up >&2; sleep 1000")], grace=1, prefix=False, timeout=0.3)
    assert (outcome.code, outcome.timed_out, outcome.failed) == (TIMED_OUT, True, "rank 0")
    assert outcome.tail == ("up",)
    assert "out of time: rank 0" in capfd.readouterr().err


def test_what_nobody_reads_keeps_the_process_that_writes_it_waiting(tmp_path):
    reading, writing = os.pipe()
    script = sh(f"yes {'x' * 99} | head -c 8000000; echo > {tmp_path}/done")
    try:
        outcome = run_supervised(
            [script],
            grace=0.1,
            prefix=False,
            timeout=1,
            out=writing,
            timeouts=Timeouts(output_stall=0.1),
        )
        assert outcome.timed_out
        assert not (tmp_path / "done").exists()
    finally:
        os.close(reading)
        os.close(writing)


def test_a_step_returns_its_outcome():
    assert run_step(sh("exit 4"), timeout=10).code == 4


def test_a_failure_ends_the_others_with_a_signal_they_can_heed(tmp_path, capfd):
    os.mkfifo(tmp_path / "ready")
    heeding = f"trap 'echo saved; exit 0' TERM; echo > {tmp_path}/ready; sleep 1000 & wait"
    failing = f"read < {tmp_path}/ready; echo 'ValueError: bad' >&2; exit 7"
    outcome = run_supervised(
        [sh(heeding, "rank 0"), sh(failing, "rank 1")], grace=100, prefix=True, timeout=30
    )
    assert (outcome.code, outcome.failed, outcome.tail) == (7, "rank 1", ("ValueError: bad",))
    out, err = capfd.readouterr()
    assert "[rank 0] saved\n" in out
    assert "trainer: rank 1 ended with 7; ending rank 0\n" in err


def test_one_that_ends_well_does_not_end_the_others(tmp_path, capfd):
    os.mkfifo(tmp_path / "fifo")
    # The pipe ends when its writer does.
    ending = sh(f"exec 3> {tmp_path}/fifo; exit 0", "a")
    staying = sh(f"cat {tmp_path}/fifo; echo done", "b")
    assert run_supervised([ending, staying], grace=1, prefix=False, timeout=30).code == 0
    assert capfd.readouterr().out == "done\n"


def test_at_debug_each_process_and_signal_is_logged_without_secrets(capfd, tmp_path):
    log.begin("DEBUG")
    os.mkfifo(tmp_path / "fifo")
    # The second fails when the first has its trap.
    heeding = sh(f"trap 'exit 0' TERM; echo > {tmp_path}/fifo; sleep 1000 & wait", "b")
    failing = Command(
        argv=("/bin/bash", "-c", f"cat {tmp_path}/fifo; exit 7", "--api-token=x7Fq2"),
        env={}, name="a",
    )  # fmt: skip
    run_supervised([heeding, failing], grace=9, prefix=True)
    lines = [line for line in capfd.readouterr().err.splitlines() if ": debug: " in line]
    found = [re.sub(r"process \d+", "process N", line.split(": ", 3)[3]) for line in lines]
    assert [line.replace(f"{tmp_path}/", "") for line in found] == [
        "b: started as process N: /bin/bash -c "
        "'trap '\"'\"'exit 0'\"'\"' TERM; echo > fifo; sleep 1000 & wait'",
        "a: started as process N: /bin/bash -c 'cat fifo; exit 7' '--api-token=***'",
        "a: ended with exit code 7",
        "SIGKILL within 9 s",
        "SIGTERM to b",
        "b: ended with exit code 0",
    ]


# ---- the process that calls it


def test_handlers_are_as_before_and_own_children_let_alone():
    def handler(*_):
        pass

    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)
    before = [signal.signal(number, handler) for number in numbers]
    own = subprocess.Popen(["/bin/bash", "-c", "exit 9"])
    running = subprocess.Popen(["/bin/sleep", "1000"])
    try:
        assert run_supervised([sh("exit 0")], grace=1, prefix=False).code == 0
        assert all(signal.getsignal(number) is handler for number in numbers)
        assert signal.set_wakeup_fd(-1) == -1
        assert own.wait(timeout=10) == 9
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def test_a_signal_that_is_ignored_stays_ignored(capfd):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        script = "import os, signal; print(int(signal.getsignal(signal.SIGHUP)))"
        assert run_supervised([python(script)], grace=1, prefix=False).code == 0
        assert capfd.readouterr().out == "1\n"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_only_the_main_thread_can_call_it():
    errors = []

    def call():
        try:
            run_supervised([sh("exit 0")], grace=1, prefix=False)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(timeout=10)
    assert len(errors) == 1


def test_before_anything_runs_sigterm_ends_this_process():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, exiting_on_sigterm():
        run_supervised([sh("exit 0")], grace=1, prefix=False)
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
