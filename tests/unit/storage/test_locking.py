"""Two jobs in one folder: real processes and files; a store is played by a file."""

import os
import signal
import subprocess
import sys

import pytest

from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.storage.locking import heartbeat, owner
from trainer.storage.locking.folder import is_local, locked_folders
from trainer.storage.locking.heartbeat import LOCK, HeartbeatLock, LocalLockFile
from trainer.storage.transfer import StoppedError

HOLDER = """
import os, sys, time
from trainer.config.job import Job
from trainer.storage.locking.folder import locked_folders
with locked_folders(Job(model_dir=sys.argv[1]), stopped=lambda: False):
    if os.fork() == 0:
        # A child that outlives it.
        os.setsid()
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    sys.stdin.read()
"""


def never() -> bool:
    return False


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path/model`."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "model")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("flag", ["model_dir", "checkpoint_dir", "output_dir"])
def test_a_second_job_in_a_folder_is_refused_with_who_is_there(holder, tmp_path, flag):
    (tmp_path / "link").symlink_to(tmp_path / "model")
    job = Job(**({"model_dir": str(tmp_path / "other")} | {flag: f"{tmp_path}/link/"}))
    line = rf"^--{flag.replace('_', '-')} .*link/: in use by another job: process {holder.pid} on "
    with pytest.raises(UserError, match=line), locked_folders(job, stopped=never):
        pytest.fail("it is let in")
    # What was made for it is gone again.
    assert {path.name for path in tmp_path.iterdir()} == {"link", "model"}


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_the_lock_of_a_job_that_ended_keeps_nobody_out(holder, tmp_path, how):
    if how == "ends":
        holder.stdin.close()
    else:
        holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    # One that was killed has left its file behind.
    assert (tmp_path / "model" / LOCK).exists() == (how == "is killed")
    with locked_folders(Job(model_dir=str(tmp_path / "model")), stopped=never):
        assert owner.parse((tmp_path / "model" / LOCK).read_bytes())["pid"] == str(os.getpid())
    assert list((tmp_path / "model").iterdir()) == []


def test_folders_of_one_job_may_be_the_same_and_need_not_be_writable(tmp_path):
    same = str(tmp_path / "a")
    with locked_folders(Job(model_dir=same, output_dir=same), stopped=never):
        pass
    with locked_folders(Job(model_dir="/proc/nowhere"), stopped=never):
        pass


def test_the_file_systems_of_this_machine_are_distinguished_from_others(tmp_path):
    assert is_local(tmp_path)
    assert not is_local(type(tmp_path)("/proc/self"))


@pytest.fixture
def lock(tmp_path):
    """Makes locks that beat fast, on one file."""
    made: list[HeartbeatLock] = []

    def make(beat: float = 0.05) -> HeartbeatLock:
        made.append(HeartbeatLock(LocalLockFile(tmp_path / LOCK), name="--model-dir X", beat=beat))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def take(*locks: HeartbeatLock, watch: float = 30.0, stopped=never) -> None:
    heartbeat.take_locks(locks, stopped=stopped, watch=watch, settle=0.05)


def on_another_host(tmp_path) -> bytes:
    data = owner.written(token="theirs").replace(b'"process": "', b'"process": "other')
    (tmp_path / LOCK).write_bytes(data)
    return data


def test_a_heartbeat_keeps_a_second_job_out_and_ends_with_the_first(lock, tmp_path, capsys):
    first = lock()
    take(first)
    with pytest.raises(UserError, match="--model-dir X: in use by another job: process"):
        take(lock())
    first.stop()
    assert not (tmp_path / LOCK).exists()
    capsys.readouterr()
    take(lock())
    assert capsys.readouterr().out == ""


def test_what_a_killed_job_on_another_host_left_keeps_nobody_out_for_long(lock, tmp_path, capsys):
    on_another_host(tmp_path)
    take(lock(), watch=0.3)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("--model-dir X: another job has written there; waiting 0.3 s")


def test_what_a_killed_job_on_this_host_left_keeps_nobody_out_at_all(
    lock, holder, tmp_path, capsys
):
    left = tmp_path / "model" / LOCK
    holder.kill()
    holder.wait(60)
    left.rename(tmp_path / LOCK)
    take(lock())
    assert capsys.readouterr().out == ""


def test_waiting_for_a_sign_of_life_ends_when_the_job_is_stopped(lock, tmp_path):
    data = on_another_host(tmp_path)
    with pytest.raises(StoppedError):
        take(lock(), stopped=lambda: True)
    assert (tmp_path / LOCK).read_bytes() == data


def test_of_two_that_start_at_the_same_time_one_goes_on(lock, tmp_path):
    one, other = lock(), lock()
    assert (one.look(), other.look()) == (None, None)
    one.write()
    other.write()
    with pytest.raises(UserError, match="in use by another job"):
        one.confirm()
    one.stop()
    other.confirm()
    assert (tmp_path / LOCK).exists()


def test_who_is_pushed_out_all_the_same_is_warned_and_leaves_the_other_alone(
    lock, tmp_path, capsys
):
    first = lock()
    take(first)
    data = on_another_host(tmp_path)
    first._thread.join(30)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("warning: --model-dir X: in use by another job")
    first.stop()
    assert (tmp_path / LOCK).read_bytes() == data
