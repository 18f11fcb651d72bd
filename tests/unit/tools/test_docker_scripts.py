"""The scripts around the image, where something is missing: one line, and nothing done."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "docker"

# A client that has all images but $MISSING, pushes, and writes down what it was asked for.
CLIENT = """#!/bin/sh
echo "$@" >>"$ASKED"
for last; do :; done
case "$1 $2" in
"version "*) echo "${CLIENT_VERSION-20.10}" ;;
"buildx "*) exit 1 ;;
"info "*) [ -z "$NO_ENGINE" ] && echo /nowhere || exit 1 ;;
"image inspect")
  case " $MISSING " in *" $last "*) echo "no such image: $last" >&2; exit 1 ;; esac
  case "$*" in
  *.Comment*) case " $IMPORTED " in *" $last "*) echo "Imported from -" ;; esac ;;
  *trainer.base*) echo "$MADE" ;;
  *trainer.debian.date*) echo "$LISTED" ;;
  *trainer.debian.updates*) echo 0ld ;;
  *.version*) echo 1.2 ;;
  *.revision*) echo "${REVISION-abc123}" ;;
  *RepoDigests*)
    echo elsewhere/x@sha256:0b
    [ -n "$NO_DIGEST" ] || echo host.example/team/trainer@sha256:0a ;;
  *Size*) echo 1000000 ;;
  esac ;;
"run "*) cat >/dev/null; [ -z "$TRUSTED" ] || { printf "$TRUSTED"; exit 1; } ;;
"import "*) cat >/dev/null; echo sha256:new ;;
"build "*)
  case "$*" in *"--output type=local,dest="*)
    [ -z "$OFFLINE" ] || { echo "no such host"; exit 1; }
    folder=${*##*,dest=} && folder=${folder%% *}
    mkdir -p "$folder" && printf '2026-11-28T20:00:00Z\nopenssl 3.5\n' >"$folder/plan" ;;
  esac ;;
"pull "*) echo "first line" >&2; echo "no such host" >&2; exit 1 ;;
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
                 "timeout", "id", "cat", "grep", "sort", "mkdir", "mv", "rm", "env",
                 "mktemp", "find", "date", "sha256sum", "basename"):  # fmt: skip
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

    def tool(name: str, text: str) -> None:
        (tools / name).unlink(missing_ok=True)
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    def asked(verb: str = "") -> list[str]:
        file = tmp_path / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(verb)]

    go.tools, go.tool, go.asked = tools, tool, asked
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
    assert line.startswith("docker/build-image: no Docker engine answers: run `make engine`")
    assert not run.asked("build ")


@pytest.mark.parametrize(("missing", "needed"), [("x:y", 30), ("", 10)])
def test_without_room_no_image_is_built(run, missing, needed):
    """`df` says what there is, here a few GiB. An image that is there takes less to renew."""
    run.tool("df", "echo Avail; echo 5000000")
    run.tool("docker", CLIENT.replace("echo /nowhere", "echo /"))
    line = one_line(run("build-image", "gpu", "x:y", MISSING=missing))
    assert line.startswith(f"docker/build-image: 4 GiB free in /, {needed} are needed")
    assert not run.asked("build ")


def test_the_image_for_gpus_gets_no_name_before_it_is_checked(run):
    assert run("build-image", "gpu", "x:y").returncode == 0
    _, check, image = run.asked("build ")
    assert "--target gpu-check" in check
    assert "--tag" not in check
    assert "--target gpu --tag x:y" in " ".join(image.split())
    # The same packages, so that what was checked is what gets the name.
    assert re.search(r"UPDATES=\S+", check)[0] == re.search(r"UPDATES=\S+", image)[0]
    fails = '"build "*)\n  case "$*" in *"--target gpu-check"*) exit 1 ;; esac\n'
    run.tool("docker", CLIENT.replace('"build "*)\n', fails))
    assert run("build-image", "gpu", "x:y").returncode == 1
    assert len(run.asked("build ")) == 5


def test_the_image_for_cpus_needs_no_check(run):
    assert run("build-image", "cpu", "x:y").returncode == 0
    _, image = run.asked("build ")
    assert "--target cpu" in image


@pytest.mark.parametrize("argv", [("tpu", "x:y"), ("cpu",), ()])
def test_an_image_is_either_for_cpu_or_for_gpu(run, argv):
    assert "expected cpu or gpu, and NAME:TAG" in one_line(run("build-image", *argv))


def test_without_a_base_image_no_image_is_built(run):
    """Where no registry is reachable the builder would say so in many lines."""
    ran = run("build-image", "cpu", "x:y", MISSING="debian:trixie-slim trainer-base:trixie x:y")
    line = one_line(ran)
    assert line.startswith("docker/base-image: debian:trixie-slim is not here and cannot be pulled")
    assert not run.asked("build ")


@pytest.mark.parametrize(
    ("given", "revision"),
    [
        ("0123456789abcdef0123456789abcdef01234567", "0123456789ab"),
        ("0123456789abcdef0123456789abcdef01234567-changed", "0123456789ab-changed"),
        ("", "unknown"),
        ("pr/12", "unknown"),
    ],
)
def test_sources_without_history_are_of_the_commit_that_is_given(run, tmp_path, given, revision):
    """As Cloud Build and CodePipeline unpack them."""
    (tmp_path / "docker").symlink_to(SCRIPTS)
    (tmp_path / "src").symlink_to(ROOT / "src")
    ran = run(str(tmp_path / "docker/build-image"), "cpu", "x:y", REVISION=given)
    assert ran.returncode == 0, ran.stderr
    built = run.asked("build ")[-1]
    assert f"--build-arg REVISION={revision} " in built


def test_what_is_built_is_named_by_version_and_revision(run):
    ran = run("build-image", "cpu", "x:y")
    assert ran.returncode == 0, ran.stderr
    built = run.asked("build ")[-1]
    assert "--target cpu" in built
    assert "--tag x:y" in built
    assert "--build-arg VERSION=0." in built


def plans(run) -> tuple[str, str]:
    """What the build was given of Debian's packages: the plan's digest and the lists' date."""
    built = run.asked("build ")[-1]
    updates = re.search(r"--build-arg UPDATES=(\S+)", built)[1]
    assert f"--label trainer.debian.updates={updates} " in built
    return updates, re.search(r"--label trainer.debian.date=(\S+)", built)[1]


def test_each_build_looks_for_updates_and_says_of_what_date_they_are(run):
    ran = run("build-image", "cpu", "x:y")
    assert ran.returncode == 0, ran.stderr
    assert "Debian's updates of 2026-11-28T20:00:00Z" in ran.stdout
    first = plans(run)
    assert run("build-image", "cpu", "x:y").returncode == 0
    assert plans(run) == first
    # Lists of another day, in which nothing has changed, build nothing anew; a new version does.
    run.tool("docker", CLIENT.replace("2026-11-28T", "2026-11-29T"))
    assert run("build-image", "cpu", "x:y").returncode == 0
    assert plans(run) == (first[0], "2026-11-29T20:00:00Z")
    run.tool("docker", CLIENT.replace("openssl 3.5", "openssl 3.6"))
    assert run("build-image", "cpu", "x:y").returncode == 0
    assert plans(run)[0] != first[0]
    looks = [line for line in run.asked("build ") if "--target plan" in line]
    assert len({re.search(r"NOW=(\S+)", line)[1] for line in looks}) == 4


def test_without_package_lists_only_what_was_built_before_is_built_again(run):
    ran = run("build-image", "cpu", "x:y", OFFLINE="1")
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        "no such host",
        "docker/build-image: Debian's package lists cannot be fetched: see above",
    ]
    ran = run("build-image", "cpu", "x:y", OFFLINE="1", LISTED="2026-11-20T00:00:00Z")
    assert ran.returncode == 0, ran.stderr
    assert "cannot be fetched: building with the packages of x:y, of 2026-11-20" in ran.stderr
    assert plans(run) == ("0ld", "2026-11-20T00:00:00Z")


def test_a_base_that_a_registry_gave_is_built_on_and_labelled_by_its_digest(run):
    run.tool("docker", CLIENT.replace("host.example/team/trainer@sha256:0a", "debian@sha256:0d"))
    ran = run("build-image", "cpu", "x:y")
    assert ran.returncode == 0, ran.stderr
    built = run.asked("build ")[-1]
    assert "--build-arg BASE_IMAGE=debian@sha256:0d " in built
    assert "--label org.opencontainers.image.base.name=debian:trixie-slim " in built
    assert "--label org.opencontainers.image.base.digest=sha256:0d" in built


def test_a_base_that_was_made_here_is_not_labelled_as_the_official_one(run):
    ran = run(
        "build-image", "cpu", "x:y", IMPORTED="debian:trixie-slim", MADE="debootstrap, 2026-11-28"
    )
    assert ran.returncode == 0, ran.stderr
    built = run.asked("build ")[-1]
    assert "--build-arg BASE_IMAGE=trainer-base:trixie " in built
    name = "base.name=trainer-base:trixie (made with debootstrap, 2026-11-28)"
    assert f"--label org.opencontainers.image.{name} " in built
    assert "base.digest" not in built


def test_a_base_image_that_cannot_be_had_is_named(run):
    given = {"MISSING": "example/other:1", "BASE_IMAGE": "example/other:1"}
    line = one_line(run("base-image", "docker", **given))
    assert line.startswith(
        "docker/base-image: example/other:1 is not here and cannot be pulled (no such host)"
    )
    assert "set BASE_IMAGE" in line


@pytest.fixture
def debian(run):
    """Stand-ins for what makes a base image, on a machine with a mirror of its own."""
    run.tool("id", "echo 0")
    mirror = "http://mirror.private.example/debian"
    run.tool("apt-cache", f'echo " 500 {mirror} trixie/main amd64 Packages"')
    run.tool(
        "debootstrap",
        """DEF_MIRROR="http://public.example/debian"
echo "debootstrap $*" >>"$ASKED"
cd "$5" && mkdir -p etc/apt etc/dpkg/dpkg.cfg.d usr/share/doc
echo build-machine >etc/hostname; echo nameserver >etc/resolv.conf""",
    )
    return mirror


@pytest.mark.parametrize("whole", [True, False])
def test_a_base_image_is_named_when_it_is_whole(run, debian, whole):
    """What tar has written before it failed would pass for an image."""
    run.tool("tar", f"echo some; exit {0 if whole else 2}")
    ran = run("base-image", "docker", MISSING="debian:trixie-slim trainer-base:trixie")
    assert (ran.returncode == 0) is whole, ran.stderr
    (imported,) = run.asked("import ")
    assert 'LABEL trainer.base="debootstrap of Debian trixie, 20' in imported
    assert run.asked("tag ") == (["tag sha256:new trainer-base:trixie"] if whole else [])
    assert ran.stdout == ("trainer-base:trixie\n" if whole else "")


def test_a_base_image_made_here_has_nothing_of_this_machine(run, debian, tmp_path):
    run.tool("tar", f'/bin/cp -r "$2" {tmp_path}/root')
    ran = run("base-image", "docker", MISSING="debian:trixie-slim trainer-base:trixie")
    assert ran.returncode == 0, ran.stderr
    (made,) = run.asked("debootstrap ")
    # Made of the machine's own mirror, its signatures checked.
    assert "--force-check-gpg" in made
    assert made.endswith(f" {debian}")
    sources = (tmp_path / "root/etc/apt/sources.list").read_text().splitlines()
    assert [line.split()[1:3] for line in sources] == [
        ["http://public.example/debian", "trixie"],
        ["http://public.example/debian", "trixie-updates"],
        ["http://public.example/debian-security", "trixie-security"],
    ]
    assert not (tmp_path / "root/etc/hostname").exists()
    assert not (tmp_path / "root/etc/resolv.conf").exists()


def test_a_base_image_that_is_there_is_left_alone(run):
    assert run("base-image", "docker").stdout == "debian:trixie-slim\n"
    assert not run.asked("pull ")
    imported = run("base-image", "docker", IMPORTED="debian:trixie-slim")
    assert imported.stdout == "trainer-base:trixie\n"
    assert not run.asked("import ")


def test_a_mirror_of_this_machine_is_a_secret_of_the_build(run, debian, tmp_path):
    (tmp_path / "secrets").mkdir()
    run.tool("apt-config", "echo 'Acquire::http::Proxy \"http://proxy.example:3128/\";'")
    assert run("machine", str(tmp_path / "secrets")).returncode == 0
    settings = (tmp_path / "secrets/apt").read_text()
    assert 'Acquire::http::Proxy "http://proxy.example:3128/";' in settings
    assert 'Dir::Etc::SourceList "/var/cache/apt/machine.list"' in settings
    listed = (tmp_path / "secrets/mirror").read_text().splitlines()
    assert listed[0] == f"deb {debian} trixie main contrib non-free"
    assert listed[2].startswith(f"deb {debian}-security trixie-security main")


def test_every_secret_is_mounted_where_packages_are_fetched():
    """Else a build behind a private CA or mirror would fail there, or leave it in a layer."""
    text = (SCRIPTS / "Dockerfile").read_text().replace("\\\n", " ")
    steps = re.findall(r"^RUN (.*(?:/mnt/apt|/mnt/install|compilers).*)$", text, re.M)
    assert len(steps) == 5
    for step in steps:
        for secret, name in (("apt", "conf"), ("mirror", "list"), ("ca", "crt")):
            assert f"type=secret,id={secret},target=/var/cache/apt/machine.{name} " in step
    for step in re.findall(r"^RUN (.*(?:/build/environment|id=horovod).*)$", text, re.M):
        assert "type=secret,id=ca " in step


@pytest.mark.parametrize("revision", ["abc123-changed", "unknown"])
def test_what_no_commit_has_is_not_pushed(run, revision):
    line = one_line(run("push", "google", "host.example/team/trainer", "t:cpu", REVISION=revision))
    assert "commit" in line
    assert not run.asked("push ")


def test_what_trusts_others_than_debian_does_is_not_pushed(run):
    given = {"TRUSTED": "/etc/ssl/certs/own.pem: 1 that Debian's has not\\nmore\\n"}
    line = one_line(run("push", "google", "host.example/team/trainer", "t:cpu", **given))
    assert "t:cpu: trusts others than Debian's certificate authorities (/etc/ssl/certs/own" in line
    assert not run.asked("push ")


def test_of_two_images_none_is_pushed_where_one_is_missing(run):
    ran = run("push", "google", "host.example/team/trainer", "t:cpu", "t:gpu", MISSING="t:gpu")
    assert one_line(ran) == "docker/push: t:gpu: not here; run `make image image-gpu`"
    assert not run.asked("push ")


@pytest.mark.parametrize(
    "repository", ["", "trainer", "/trainer", "team/trainer", "host.example/trainer:1"]
)
def test_a_repository_without_a_host_is_refused(run, repository):
    """`team/trainer` would be one of Docker Hub's, where anybody may read."""
    line = one_line(run("push", "google", repository, "t:cpu"))
    assert line == f"docker/push: REPOSITORY={repository}: expected HOST/PATH, without a tag"


def test_without_its_tool_aws_is_not_pushed_to(run):
    line = one_line(run("push", "aws", "host.example/team/trainer", "t:cpu"))
    assert "no `aws` to log in to host.example with" in line
    assert not run.asked("push ")


def test_images_are_pushed_by_version_and_revision_and_their_digests_told(run, tmp_path):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/push").symlink_to(SCRIPTS / "push")
    (tmp_path / "docker/trust.py").symlink_to(SCRIPTS / "trust.py")
    push = str(tmp_path / "docker/push")
    ran = run(push, "google", "host.example/team/trainer", "t:cpu", DOCKER="docker")
    assert ran.returncode == 0, ran.stderr
    assert run.asked("push ") == [
        "push --quiet host.example/team/trainer:cpu-1.2",
        "push --quiet host.example/team/trainer:cpu-abc123",
    ]
    digests = tmp_path / "dist/digests.txt"
    assert digests.read_text() == "host.example/team/trainer@sha256:0a\n"
    assert ran.stdout.endswith(digests.read_text())
    # A second time, it is not those of the first that stay.
    again = run(
        push, "google", "host.example/team/trainer", "t:cpu", DOCKER="docker", NO_DIGEST="1"
    )
    assert "returned no digest" in one_line(again)
    assert not digests.exists()


def test_every_script_can_be_run():
    scripts = [
        path for path in SCRIPTS.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"#!"
    ]
    assert scripts
    assert [path for path in scripts if not path.stat().st_mode & stat.S_IXUSR] == []


@pytest.mark.parametrize("client", ["exit 1", "true"])
def test_without_an_engine_or_an_image_there_is_no_list_of_what_is_in_it(run, client):
    run.tool("docker", client)
    ran = subprocess.run(
        ["make", "-o", ".venv-audit/.installed", "sbom", f"DOCKER={run.tools}/docker", "IMAGE=n"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "make: no image n:cpu or n:gpu is here: run make image\n" in ran.stderr
