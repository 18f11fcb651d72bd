"""The scripts around the image, where something is missing: one line, and nothing done."""

import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "docker"

# A client that knows one image, pushes, and writes down what it was asked for.
CLIENT = """#!/bin/sh
echo "$@" >>"$ASKED"
case "$1 $2" in
"version "*) echo "${CLIENT_VERSION-20.10}" ;;
"buildx "*) exit 1 ;;
"info "*) [ -z "$NO_ENGINE" ] && echo /nowhere || exit 1 ;;
"image inspect")
  case "$*" in
  *.version*) echo 1.2 ;;
  *.revision*) echo "${REVISION-abc123}" ;;
  *RepoDigests*) echo host.example/team/trainer@sha256:0a; echo elsewhere/x@sha256:0b ;;
  *) [ -z "$NO_IMAGE" ] ;;
  esac ;;
"pull "*) exit 1 ;;
esac
"""


@pytest.fixture
def run(tmp_path):
    """Runs a script with the client above in place of docker, away from this machine's."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").write_text(CLIENT)
    (tools / "docker").chmod(0o755)
    for name in ("bash", "sh", "dirname", "readlink", "cut", "df", "tail", "git", "sed", "head",
                 "timeout", "id", "cat", "grep", "sort", "mkdir", "mv", "env"):  # fmt: skip
        where = subprocess.run(
            ["/bin/sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True
        )
        (tools / name).symlink_to(where.stdout.strip())

    def go(script: str, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", str(SCRIPTS / script), *argv],
            env={"PATH": str(tools), "ASKED": str(tmp_path / "asked"), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    go.tools = tools
    go.asked = lambda: (tmp_path / "asked").read_text().splitlines()
    return go


def one_line(ran: subprocess.CompletedProcess[str]) -> str:
    """What it said on failing."""
    assert ran.returncode, ran.stdout
    (line,) = ran.stderr.splitlines()
    assert line.startswith("docker/")
    return line


def test_a_new_client_without_buildx_is_passed_over(run):
    assert run("engine", "client").stdout == f"{run.tools}/docker\n"
    newer = run("engine", "client", CLIENT_VERSION="28.2")
    assert one_line(newer) == "docker/engine: no docker client that can build: run `make engine`"


def test_without_an_engine_no_image_is_built(run):
    line = one_line(run("build-image", "cpu", "x:y", NO_ENGINE="1"))
    assert line == "docker/build-image: no Docker engine answers: run `make engine`"
    assert not any(asked.startswith("build ") for asked in run.asked())


def test_without_room_no_image_is_built(run):
    """`df` says what there is; here a few GiB."""
    (run.tools / "df").unlink()
    (run.tools / "df").write_text("#!/bin/sh\necho Avail\necho 5000000\n")
    (run.tools / "df").chmod(0o755)
    docker = run.tools / "docker"
    docker.write_text(CLIENT.replace("echo /nowhere", "echo /"))
    line = one_line(run("build-image", "gpu", "x:y"))
    assert line.startswith("docker/build-image: 4 GiB free in /, 30 are needed")
    assert not any(asked.startswith("build ") for asked in run.asked())


def test_an_image_is_either_for_cpu_or_for_gpu(run):
    assert "tpu: expected cpu or gpu" in one_line(run("build-image", "tpu", "x:y"))


def test_what_is_built_is_named_by_version_and_revision(run):
    ran = run("build-image", "cpu", "x:y")
    assert ran.returncode == 0, ran.stderr
    (built,) = (asked for asked in run.asked() if asked.startswith("build "))
    assert "--target cpu" in built
    assert "--tag x:y" in built
    assert "--build-arg VERSION=0." in built


def test_a_base_image_that_cannot_be_had_is_named(run):
    line = one_line(run("base-image", "docker", NO_IMAGE="1", BASE_IMAGE="example/other:1"))
    assert line.startswith("docker/base-image: example/other:1 is not here and cannot be pulled")
    assert "BASE_IMAGE" in line


def test_a_base_image_that_is_there_is_left_alone(run):
    assert run("base-image", "docker").returncode == 0
    assert run.asked() == ["image inspect debian:trixie-slim"]


@pytest.mark.parametrize("revision", ["abc123-changed", "unknown"])
def test_what_no_commit_has_is_not_pushed(run, revision):
    line = one_line(run("push", "google", "host.example/team/trainer", "t:cpu", REVISION=revision))
    assert "commit" in line
    assert not any(asked.startswith("push ") for asked in run.asked())


@pytest.mark.parametrize("repository", ["", "trainer", "/trainer"])
def test_a_repository_without_a_host_is_refused(run, repository):
    line = one_line(run("push", "aws", repository, "t:cpu"))
    assert line == f"docker/push: REPOSITORY={repository}: expected HOST/PATH"


def test_without_its_tool_aws_is_not_pushed_to(run):
    line = one_line(run("push", "aws", "host.example/team/trainer", "t:cpu"))
    assert "no `aws` to log in to host.example with" in line
    assert not any(asked.startswith("push ") for asked in run.asked())


def test_images_are_pushed_by_version_and_revision_and_their_digests_told(run, tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/push").symlink_to(SCRIPTS / "push")
    push = str(tmp_path / "docker/push")
    ran = run(push, "google", "host.example/team/trainer", "t:cpu", DOCKER="docker")
    assert ran.returncode == 0, ran.stderr
    assert [asked for asked in run.asked() if asked.startswith("push ")] == [
        "push --quiet host.example/team/trainer:cpu-1.2",
        "push --quiet host.example/team/trainer:cpu-abc123",
    ]
    digests = tmp_path / "dist/digests.txt"
    assert digests.read_text() == "host.example/team/trainer@sha256:0a\n"
    assert ran.stdout.endswith(digests.read_text())


def test_every_script_can_be_run():
    scripts = [
        path for path in SCRIPTS.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"#!"
    ]
    assert scripts
    assert [path for path in scripts if not path.stat().st_mode & stat.S_IXUSR] == []
