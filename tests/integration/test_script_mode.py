"""Script mode as a job has it: sources from S3, signals at any time, failure files."""

import contextlib
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from moto_server import moto_server

from trainer.config.errors import UserError
from trainer.launch.supervise.api import run_supervised
from trainer.sagemaker.script_mode import prepare
from trainer.storage.errors import StorageError

DEADLINE = 60.0

# What a platform's entrypoint does, in short.
DRIVER = """
import json, os, sys
from pathlib import Path
from trainer.launch import failure_file as failure
from trainer.launch.supervise.api import run_supervised
from trainer.sagemaker.script_mode import prepare
given = json.loads(sys.argv[1])
command = prepare(
    program=given["program"], submit_directory=given["place"], code_dir=Path(given["code"]),
    hyperparameters=given["hyperparameters"], env=dict(os.environ),
)
outcome = run_supervised([command], grace=30, prefix=False)
if outcome.code:
    reason = failure.reason_from(outcome)
    failure.write(Path(given["failure"]), reason=reason, host="algo-1", process=None)
sys.exit(outcome.code)
"""


def archive(**contents: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in contents.items():
            info = tarfile.TarInfo(name.replace("_py", ".py").replace("_sh", ".sh"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


@pytest.fixture(scope="module")
def s3():
    """The address of a server that speaks S3, and a client of it."""
    pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("sagemaker_training")
    with moto_server() as port:
        address = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_bucket(Bucket="bucket")
        yield address, client


def environment(address: str) -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "S3_ENDPOINT_URL": address,
    }


def test_sources_come_from_s3(s3, tmp_path, capfd):
    address, client = s3
    script = "import sys; print(sys.argv[1:], open('data.txt').read())"
    body = archive(**{"train_py": script, "data.txt": "of the user"})
    client.put_object(Bucket="bucket", Key="job/source/sourcedir.tar.gz", Body=body)
    code = tmp_path / "code"
    code.mkdir()
    (code / "data.txt").write_text("of the image")
    before = dict(os.environ)
    place = "s3://bucket/job/source/sourcedir.tar.gz"
    command = prepare(
        program="train.py",
        submit_directory=place,
        code_dir=code,
        hyperparameters={"name": "$(touch x) 'y'"},
        env=environment(address),
    )
    assert dict(os.environ) == before
    assert f"2 files of {place} laid in {code} over 1, 1 replaced\n" in capfd.readouterr().out
    assert run_supervised([command], grace=5, prefix=False).code == 0
    assert capfd.readouterr().out == "['--name', \"$(touch x) 'y'\"] of the user\n"


def test_what_s3_does_not_have_is_told_in_one_line(s3, tmp_path, capfd):
    address, client = s3
    client.put_object(Bucket="bucket", Key="no.tar.gz", Body=b"no archive")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for place, at, problem in [
            ("s3://bucket/missing.tar.gz", address, "cannot be fetched: NoSuchKey: "),
            ("s3://nothing/x.tar.gz", address, "cannot be fetched: NoSuchBucket: "),
            ("s3://bucket/no.tar.gz", address, "not a whole tar file"),
            ("s3://bucket/x.tar.gz", nobody, "cannot be fetched: EndpointConnectionError"),
        ]:
            # Nobody may listen for a while only.
            kind = StorageError if at == nobody else UserError
            with pytest.raises(kind, match=problem) as caught:
                prepare(
                    program="train.py",
                    submit_directory=place,
                    code_dir=tmp_path / "code",
                    hyperparameters={},
                    env=environment(at),
                )
            assert str(caught.value).startswith(f"sagemaker_submit_directory {place}: ")
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "code").exists()


@contextlib.contextmanager
def silent_server():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_told(tmp_path, capfd):
    pytest.importorskip("sagemaker_training")
    with (
        silent_server() as (_, address),
        pytest.raises(StorageError, match=r"not fetched within 1 s"),
    ):
        prepare(
            program="train.py",
            submit_directory="s3://bucket/x.tar.gz",
            code_dir=tmp_path / "code",
            hyperparameters={},
            env=environment(address),
            fetch_timeout=1,
        )


class Driven:
    """The driver in a process of its own."""

    def __init__(self, folder: Path, program: str, place: Path | str, env=None, **hyperparameters):
        self.failure = folder / "output" / "failure"
        given = {
            "program": program,
            "place": str(place),
            "code": str(folder / "code"),
            "hyperparameters": hyperparameters,
            "failure": str(self.failure),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def until(self, pattern: str) -> str:
        """Read until something matches; all that was read."""
        text, end = b"", time.monotonic() + DEADLINE
        while not re.search(pattern, text.decode(errors="replace")):
            left = max(0, end - time.monotonic())
            assert select.select([self.process.stdout], [], [], left)[0], text
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"no {pattern!r} in {text!r}"
            text += data
        return text.decode(errors="replace")

    def end(self) -> int:
        self.process.communicate(timeout=DEADLINE)
        return self.process.returncode


def test_told_to_end_while_it_fetches_it_ends(tmp_path):
    pytest.importorskip("sagemaker_training")
    with silent_server() as (server, address):
        place = "s3://bucket/x.tar.gz"
        with Driven(tmp_path, "train.py", place, env=environment(address)) as run:
            connection, _ = server.accept()
            run.process.send_signal(signal.SIGTERM)
            assert run.end() == 143
            connection.close()


def test_told_to_end_while_pip_runs_it_ends(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").touch()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    os.mkfifo(tmp_path / "fifo")
    (source / "backend.py").write_text(
        f"import signal\nopen({str(tmp_path / 'fifo')!r}, 'w').write('pip runs')\nsignal.pause()"
    )
    # Not waiting for a writer, which might never come.
    reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with Driven(tmp_path, "train", source) as run:
        assert select.select([reading], [], [], DEADLINE)[0], "pip does not run"
        os.close(reading)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 143


@pytest.mark.parametrize("program", ["train.py", "train.sh"])
def test_a_script_that_is_told_to_end_saves_and_ends_well(tmp_path, program):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("""
import signal, sys
def save(number, frame):
    open(sys.argv[2], "w").write("saved")
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready")
while True:
    signal.pause()
""")
    (source / "train.sh").write_text(f'exec {sys.executable} train.py "$@"\n')
    saved = tmp_path / "a file"
    with Driven(tmp_path, program, source, model=str(saved)) as run:
        run.until("ready")
        run.process.send_signal(signal.SIGTERM)
        run.until("saved")
        assert run.end() == 0
    assert saved.read_text() == "saved"
    assert not run.failure.exists()


def test_a_script_that_fails_is_reported_with_its_exit_code(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("raise ValueError('bad label 11')\n")
    with Driven(tmp_path, "train.py", source) as run:
        assert run.end() == 1
    assert run.failure.read_text() == (
        f"ValueError: bad label 11\nat {tmp_path}/code/train.py line 1 in <module>\n"
        "user script ended with exit code 1\nhost algo-1"
    )


def test_what_a_script_says_of_its_own_failure_is_kept(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.sh").write_text('mkdir "$2"; echo my own words > "$2/failure"; exit 77\n')
    with Driven(tmp_path, "train.sh", source, o=str(tmp_path / "output")) as run:
        assert run.end() == 77
    assert run.failure.read_text() == "my own words\n"
