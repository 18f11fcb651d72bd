import os
import subprocess
import sys

import pytest

from trainer.launch import failure_file
from trainer.launch.supervise.api import Command, Outcome, run_supervised
from trainer.runtime import output


def ran(script: str) -> Outcome:
    """How a real Python program ends."""
    command = Command(argv=(sys.executable, "-c", script), env=dict(os.environ), name="user script")
    return run_supervised([command], grace=1, prefix=False)


def reason(code: int, *tail: str, **more) -> str:
    return failure_file.reason_from(Outcome(code=code, failed="rank 1", tail=tail, **more))


# ---- the reason


def test_the_root_cause_comes_first_then_where_it_came_from_then_the_exit_code(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "def load(path):\n    raise ValueError(f'bad label 11 in {path}')\n\nload('a')"
    )
    command = Command(argv=(sys.executable, str(script)), env={}, name="user script")
    found = failure_file.reason_from(run_supervised([command], grace=1, prefix=False))
    assert found.splitlines() == [
        "ValueError: bad label 11 in a",
        f"at {script} line 2 in load",
        "user script ended with exit code 1",
    ]


def test_of_chained_exceptions_the_last_is_told():
    outcome = ran("try:\n 1 / 0\nexcept Exception as e:\n raise RuntimeError('no batch') from e")
    assert failure_file.reason_from(outcome).startswith(
        "RuntimeError: no batch\nat <string> line 4"
    )


def test_an_error_of_syntax_is_told():
    found = failure_file.reason_from(ran("def f(:\n  pass"))
    assert found.startswith("SyntaxError: ")
    assert "\nat <string> line 1\n" in found


def test_of_a_group_of_exceptions_the_last_is_told():
    found = failure_file.reason_from(
        ran("raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])")
    )
    assert found.startswith("ExceptionGroup: two (2 sub-exceptions) ValueError: a KeyError: 'b'\n")


def test_a_message_of_several_lines_is_kept_and_what_follows_comes_after():
    found = failure_file.reason_from(
        ran(
            "import atexit, sys\natexit.register(lambda: print('late', file=sys.stderr))\n"
            "raise OSError('Graph error:\\n\\nnode conv1\\n  not found')"
        )
    )
    assert found.startswith("OSError: Graph error: node conv1 not found late\nat <string> line 3")


def test_under_mpirun_the_rank_before_each_line_is_left_out():
    found = reason(
        1,
        "[1,3]<stderr>:Traceback (most recent call last):",
        '[1,3]<stderr>:  File "train.py", line 7, in main',
        "[1,3]<stderr>:    raise ValueError('x')",
        "[1,3]<stderr>:ValueError: x",
    )
    assert found == "ValueError: x\nat train.py line 7 in main\nrank 1 ended with exit code 1"


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (("loading", "train.sh: line 3: foo: command not found"), "train.sh: line 3: foo: command"),
        (
            ("terminate called after throwing 'std::bad_alloc'", "  what():  bad"),
            "terminate called",
        ),
        (("Fatal Python error: Aborted", "", "Current thread 0x1:"), "Fatal Python error: Aborted"),
        (("trainer: error: --steps 0: expected a number of 1 or more",), "trainer: error: --steps"),
        (
            ("E0000 cuFFT: error 1", "step=9", "trainer: failed: /out/1: Permission denied"),
            "trainer: failed: /out/1: Permission denied",
        ),
        (('  File "a.py", line 1, in f',), 'File "a.py", line 1, in f'),
        (("", " "), "rank 1 ended"),
        ((), "rank 1 ended"),
    ],
)
def test_without_a_traceback_the_most_telling_line_is_told(tail, cause):
    assert reason(2, *tail).startswith(cause)
    assert "rank 1 ended with exit code 2" in reason(2, *tail)


@pytest.mark.parametrize(
    ("code", "hint"),
    [(137, "most likely out of memory"), (139, "segmentation fault"), (134, "aborted")],
)
def test_a_signal_is_explained(code, hint):
    found = reason(code, signal=code - 128)
    assert f"rank 1 ended by signal {code - 128}, exit code {code} (" in found
    assert hint in found


@pytest.mark.parametrize("code", [130, 200, 201, 255])
def test_a_code_that_no_signal_made_is_called_no_signal(code):
    found = failure_file.reason_from(ran(f"raise SystemExit({code})"))
    assert found == f"user script ended with exit code {code}"


def test_a_shell_says_by_its_code_what_ended_a_program():
    script = "exit $(sh -c 'kill -9 $$'; echo $?)"
    command = Command(argv=("sh", "-c", script), env=dict(os.environ), name="user script")
    found = failure_file.reason_from(run_supervised([command], grace=1, prefix=False))
    assert "user script ended with exit code 137 (as of a program that was ended by sig" in found
    assert "most likely out of memory" in found


def test_what_was_said_before_a_kill_is_not_its_cause():
    outcome = ran(
        "import os\nprint('ValueError: handled', file=__import__('sys').stderr)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert failure_file.reason_from(outcome).startswith(
        "user script ended by signal 9, exit code 137 ("
    )
    assert "handled" not in failure_file.reason_from(outcome)


def test_lines_of_libraries_are_no_part_of_the_exception():
    found = failure_file.reason_from(
        ran("""
import atexit, sys, logging
def late():
    logging.basicConfig()
    logging.getLogger("pool").warning("closing with an error")
    for line in ("W0000 00:00:1722.5 12 x.cc:12] error 7", "2026-11-28 21:00:00.1: I tensorflow/x",
                 "[2026-11-28 21:00:00,1] INFO bye", "host:12:13 [0] NCCL INFO comm destroyed",
                 "/x/y.py:12: UserWarning: error-prone"):
        print(line, file=sys.stderr)
atexit.register(late)
class Leaky:
    def __del__(self):
        raise AttributeError("no handle")
leaky = Leaky()
raise ValueError("bad label 11")
""")
    )
    assert found.splitlines()[0] == "ValueError: bad label 11"


def test_a_failure_of_logging_is_not_that_of_the_run():
    found = failure_file.reason_from(
        ran("""
import logging, sys
logging.basicConfig()
logging.warning("%d", "x")
sys.exit("error: cannot open shard 7")
""")
    )
    assert found.startswith("error: cannot open shard 7\n")


def test_what_debug_shows_is_told_in_the_words_below_it():
    found = reason(
        2,
        '  File "a.py", line 3, in f',
        "trainer.config.errors.UserError: --steps 0: bad",
        "trainer: error: --steps 0: bad",
    )
    assert found.startswith("trainer: error: --steps 0: bad\nat a.py line 3 in f\n")


def test_the_log_is_told_what_it_does_not_say_yet():
    line = failure_file.line_from(ran("import os; os.kill(os.getpid(), 9)"))
    assert line is not None
    assert line.startswith("user script ended by signal 9, exit code 137 (killed, most likely out")
    assert failure_file.line_from(ran("pass")) is None
    said = "import sys; sys.exit('trainer: error: --steps 0: bad')"
    assert failure_file.line_from(ran(said)) is None
    assert failure_file.line_from(Outcome(code=143, failed="trainer", stop_signal=15)) is None


def test_real_crashes_are_explained():
    assert "signal 11, exit code 139 (segmentation fault" in failure_file.reason_from(
        ran("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    )
    found = failure_file.reason_from(
        ran("import faulthandler, os; faulthandler.enable(); os.abort()")
    )
    assert found.startswith("Fatal Python error: Aborted")
    assert "signal 6, exit code 134 (aborted" in found


def test_a_full_disk_is_explained():
    outcome = ran("with open('/dev/full', 'w') as file: file.write('x' * 99999)")
    found = failure_file.reason_from(outcome)
    assert found.startswith("OSError: [Errno 28] No space left on device\n")
    assert found.endswith("(the disk is full: ask for a larger volume)")


def test_one_that_we_killed_did_not_run_out_of_memory():
    found = reason(137, killed=True, stop_signal=15)
    assert found == "rank 1 did not end when told to, and was killed"
    assert "memory" not in found
    assert reason(124, timed_out=True) == "rank 1 did not end in time"
    assert "told to end by signal 15; exit code 143" in reason(143, stop_signal=15)


def test_a_long_cause_leaves_room_for_the_rest():
    frame = f'  File "/opt/{"x" * 500}.py", line 7, in main'
    found = reason(1, frame, "ValueError: " + "y" * 5000)
    assert found.startswith("ValueError: yyy")
    assert found.endswith("\nrank 1 ended with exit code 1")
    assert len(found) < failure_file.LIMIT - 200


# ---- the file


def test_host_and_rank_are_named_and_the_folder_is_made(tmp_path):
    path = tmp_path / "output" / "failure"
    failure_file.write(path, reason="ValueError: x\nexit code 1", host="algo-2", process="rank 3")
    assert path.read_text() == "ValueError: x\nexit code 1\nhost algo-2, rank 3"
    assert [p.name for p in path.parent.iterdir()] == ["failure"]


def test_without_ranks_only_the_host_is_named(tmp_path):
    failure_file.write(tmp_path / "failure", reason="no data", host="algo-1", process=None)
    assert (tmp_path / "failure").read_text() == "no data\nhost algo-1"


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "🙂" * 5000, "語\n" * 5000])
def test_a_long_reason_is_cut_to_1024_characters_and_stays_text(tmp_path, text):
    path = tmp_path / "failure"
    failure_file.write(path, reason="ValueError: " + text, host="algo-1", process="rank 0")
    written = path.read_bytes().decode("utf-8")
    assert len(written) <= 1024
    assert len(written) > 1000
    assert written.startswith("ValueError: " + text[:100])
    assert written.endswith("…\nhost algo-1, rank 0")


def test_a_reason_that_just_fits_is_whole(tmp_path):
    end = "\nhost algo-1, rank 0"
    most = 1024 - len(end)
    failure_file.write(tmp_path / "failure", reason="x" * most, host="algo-1", process="rank 0")
    assert (tmp_path / "failure").read_text() == "x" * most + end


def test_halves_of_characters_do_not_keep_it_from_being_written(tmp_path):
    reason = "bad \udcff name \ud800"
    failure_file.write(tmp_path / "failure", reason=reason, host="h\udc80", process="rank 0")
    assert (tmp_path / "failure").read_bytes().decode() == "bad ? name ?\nhost h?, rank 0"


@pytest.mark.parametrize(
    "secret",
    [
        "AWS_SECRET_ACCESS_KEY=hunter2hunter2",
        "MY_KEY=hunter2hunter2",
        "HF_TOKEN='hunter2hunter2'",
        "db_password=hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        "https://user:hunter2hunter2@host/simple",
        "AKIAHUNTER2HUNTER2AA",
        '{"api_key": "hunter2hunter2"}',
    ],
)
def test_secrets_are_masked(tmp_path, secret):
    found = reason(1, '  File "a.py", line 1', f"ValueError: cannot use {secret} for this")
    assert found.startswith("ValueError: cannot use ")
    failure_file.write(
        tmp_path / "failure", reason=f"{secret}\n{found}", host="algo-1", process="rank 0"
    )
    for text in (found, (tmp_path / "failure").read_text()):
        assert "hunter2" not in text.lower()
        assert "exit code 1" in text


def test_known_secrets_are_masked_wherever_they_stand(tmp_path):
    output.begin({"SOME_TOKEN": "s3cr3t-value"})
    found = reason(1, "error: refused s3cr3t-value")
    failure_file.write(tmp_path / "f", reason=found, host="h", process=None)
    assert (tmp_path / "f").read_text().startswith("error: refused ***\n")


def test_a_missing_key_is_no_secret():
    assert reason(1, '  File "a.py", line 1', "KeyError: 'API_KEY'").startswith(
        "KeyError: 'API_KEY'\n"
    )


def test_a_file_that_the_script_wrote_itself_is_kept(tmp_path):
    path = tmp_path / "failure"
    outcome = ran(f"open({str(path)!r}, 'w').write('my own words'); raise SystemExit(9)")
    failure_file.write(
        path, reason=failure_file.reason_from(outcome), host="algo-1", process="rank 0"
    )
    assert outcome.code == 9
    assert path.read_text() == "my own words"


def test_an_empty_one_is_not_kept(tmp_path):
    path = tmp_path / "failure"
    path.touch()
    failure_file.write(path, reason="why", host="algo-1", process=None)
    assert path.read_text() == "why\nhost algo-1"


def test_one_of_an_earlier_run_is_cleared(tmp_path, capsys):
    path = tmp_path / "failure"
    failure_file.clear(path)
    path.write_text("old")
    failure_file.clear(path)
    failure_file.write(path, reason="new", host="algo-1", process=None)
    assert path.read_text() == "new\nhost algo-1"
    failure_file.clear(tmp_path)
    assert "warning: cannot remove" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_with_what_it_would_say(tmp_path, capsys):
    (tmp_path / "output").write_text("a file, no folder")
    path = tmp_path / "output" / "failure"
    failure_file.write(path, reason="ValueError: x\nexit code 1", host="algo-1", process="rank 0")
    found = capsys.readouterr().err
    assert found.startswith(f"trainer: cannot write {path}: ")
    assert found.endswith("; it would say: ValueError: x exit code 1 host algo-1, rank 0\n")
    assert found.count("\n") == 1


def test_on_a_full_disk_the_failure_is_told_all_the_same(tmp_path, capsys):
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a tmpfs, which needs root")
    try:
        (tmp_path / "full").write_bytes(b"x" * 4096)
        failure_file.write(
            tmp_path / "failure", reason="ValueError: x", host="algo-1", process="rank 0"
        )
        assert not (tmp_path / "failure").exists()
        assert "No space left on device; it would say: ValueError: x" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_mounted_file_as_kubernetes_has_it_is_filled_in_place(tmp_path, caplog):
    mounted, behind = tmp_path / "termination-log", tmp_path / "of-the-kubelet"
    behind.write_text("the run before")
    mounted.touch()
    subprocess.run(["mount", "--bind", behind, mounted], check=True)
    try:
        failure_file.clear(mounted)
        assert behind.read_text() == ""
        failure_file.write(mounted, reason="ValueError: bad label", host="m-0", process=None)
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert behind.read_text() == "ValueError: bad label\nhost m-0"
    assert not caplog.records
