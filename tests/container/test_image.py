"""What is in the image, and what is not."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from containers import DEADLINE, PREFIX, ROOT
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MEGABYTES = {"cpu": 2000, "gpu": 7500}
# What a secret looks like: a key itself, not code or text that speaks of one.
SECRETS = re.compile(
    rb"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60}"
    rb"|(?<![A-Z0-9])AKIA(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])"
    rb'|"private_key_id": *"[0-9a-f]{40}"'
    rb"|(?<![\w-])ghp_[A-Za-z0-9]{36}(?!\w)"
)
# GnuTLS tries itself with keys that are in its source for all to read.
PUBLIC = re.compile(r"^usr/lib/[\w-]+/libgnutls\.so\.[\d.]+$")
# One of these is part of each; looked for first, as that is faster.
MARKS = (b"PRIVATE KEY-----", b"AKIA", b"private_key_id", b"ghp_")
NAMES = re.compile(
    r"(^|/)(ssh_host_[^/]*_key|id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|\.git|"
    r"\.aws|\.docker|authorized_keys|credentials\.json)$"
)
LEFT = re.compile(
    r"^(build|root/\.cache|tmp/.+|var/tmp/.+|var/cache/apt/archives/.*\.deb|workspace/.+)(/|$)"
)


class Scan(NamedTuple):
    """What was found in the layers, also what a later layer takes away: layer or file, and what."""

    secrets: list[tuple[str, object]]
    traces: list[tuple[str, object]]


@pytest.fixture(scope="module")
def scan(engine, image, tmp_path_factory) -> Scan:
    """Every file of every layer, read once."""
    found = Scan([], [])
    marks = marks_of_this_machine()
    saved = tmp_path_factory.mktemp("image") / "image.tar"
    engine("save", "--output", str(saved), image, timeout=600)
    with tarfile.open(saved) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))
        for layer in manifest[0]["Layers"]:
            raw = io.BufferedReader(outer.extractfile(layer))
            with tarfile.open(fileobj=raw, mode="r|*") as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    if NAMES.search(name) or (LEFT.match(name) and not member.isdir()):
                        found.secrets.append((layer[:12], name))
                    if member.isfile() and member.size < 20_000_000:
                        data = tar.extractfile(member).read()
                        if any(mark in data for mark in MARKS) and not PUBLIC.match(name):
                            found.secrets.extend((name, m[:60]) for m in SECRETS.findall(data))
                        found.traces.extend((name, mark) for mark in marks if mark in data)
    saved.unlink()
    return found


def marks_of_this_machine() -> list[bytes]:
    """Its name, this folder, and a line of each certificate that it trusts of its own."""
    marks = [socket.gethostname().encode(), str(ROOT).encode()]
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        marks += file.read_bytes().splitlines()[2:4]
    # What is shorter may be a word.
    return [mark for mark in marks if len(mark) > 8]


def test_it_is_small(engine, image):
    target = "gpu" if image.endswith("gpu") else "cpu"
    assert engine.inspect(image)["Size"] <= MEGABYTES[target] * 1_000_000


def test_it_is_labelled(engine, image):
    labels = engine.inspect(image)["Config"]["Labels"]
    version = re.search(r'__version__ = "(.+)"', (ROOT / "src/trainer/__init__.py").read_text())[1]
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    assert labels["org.opencontainers.image.title"] == "trainer"
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    base = labels["org.opencontainers.image.base.name"]
    if labels.get("org.opencontainers.image.base.digest", "").startswith("sha256:"):
        assert base == os.environ.get("BASE_IMAGE", "debian:trixie-slim")
    else:
        # Made here, it is not the official image, and says so.
        assert re.match(r"(?!debian:)\S+ \(made with debootstrap of Debian trixie, 20\d\d-", base)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\S+Z", labels["org.opencontainers.image.created"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\S+Z", labels["trainer.debian.date"])
    revision = labels["org.opencontainers.image.revision"]
    assert revision.removesuffix("-changed") == (head or "unknown")


def test_it_starts_what_signals_reach(engine, image):
    config = engine.inspect(image)["Config"]
    assert config["Entrypoint"] == [
        "/opt/trainer/bin/python3",
        "/opt/trainer/entrypoints/container",
    ]
    assert config["Cmd"] == ["train"]
    assert not config["User"]


def test_no_layer_has_a_secret_or_what_the_build_left(scan):
    assert scan.secrets == []


def test_what_the_scan_looks_for_it_finds():
    """A scan that finds nothing anywhere would not be noticed."""
    keys = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    for key in keys:
        for form in (PrivateFormat.PKCS8, PrivateFormat.OpenSSH):
            text = key.private_bytes(Encoding.PEM, form, NoEncryption())
            assert SECRETS.search(text)
            assert any(mark in text for mark in MARKS)
    assert SECRETS.search(b"aws_access_key_id = AKIA" + b"A1B2" * 4)
    assert NAMES.search("etc/ssh/ssh_host_rsa_key")
    assert NAMES.search("root/.ssh/id_rsa")
    assert LEFT.match("build/wheels/x.whl")


def test_no_layer_tells_of_the_machine_that_built_it(engine, image, scan):
    """Neither its name nor its folder, nor whom it trusts, nor a proxy."""
    assert scan.traces == []
    config = json.dumps(engine.inspect(image)["Config"])
    assert not re.search(r"(?i)_proxy|_ca_bundle|ssl_cert|pip_", config)


@pytest.mark.parametrize("more", [False, True])
def test_it_trusts_whom_debian_trusts_and_one_that_trusts_more_is_found(engine, image, more):
    """Also where it was built behind a proxy that inspects TLS. docker/push asks this."""
    script = (ROOT / "docker/trust.py").read_text()
    if more:
        # In a container of it, as a step of somebody's Dockerfile would do.
        added = f"Path('/usr/local/share/ca-certificates/own.crt').write_text({own_authority()!r})"
        update = "__import__('subprocess').check_call(['update-ca-certificates'], stdout=2)"
        script = script.replace("def main() -> int:\n", f"{added}\n{update}\ndef main() -> int:\n")
    command = ("run", "--rm", "-i", "--network", "none", "--entrypoint", "python3", image, "-")
    ran = subprocess.run(
        [engine.client, *command],
        input=script, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ran.returncode == more, ran.stdout + ran.stderr
    assert ran.stdout.startswith("/usr/local/share/ca-certificates/own.crt: ") is more
    assert ("/etc/ssl/certs/ca-certificates.crt: 1 that Debian's" in ran.stdout) is more


def own_authority() -> str:
    """A certificate authority's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "own")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    made = made.public_key(key.public_key()).not_valid_before(now)
    made = made.not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def test_packages_fit_together_and_no_compiler_is_there(start):
    run = start("bash", "-c", "pip check; type -P gcc cc g++ nvcc make mpicc f2py; true")
    assert run.wait() == 0
    assert run.lines == ["No broken requirements found."]


def test_nothing_is_left_of_tests_and_of_what_compilers_need(start):
    form = r".*\.(h|hpp|hh|cuh|c|cc|cpp|cu|pyx|pxd|pxi|f|f90|a|la|o|obj|pc|exe)"
    shell = (
        f"find /opt/trainer -type f -regextype posix-extended -regex '{form}'; "
        "find /opt/trainer -type d '(' -name tests -o -name include -o -name kernel_tests ')'; "
        "ls -A /root/.cache 2>/dev/null; true"
    )
    run = start("bash", "-c", shell)
    assert run.wait() == 0
    assert run.lines == []


def test_no_file_makes_whoever_runs_it_somebody_else(start):
    run = start("find", "/", "-xdev", "-perm", "/6000")
    assert run.wait() == 0
    assert run.lines == []


def test_sshd_starts_programs_and_offers_nothing_else(start):
    run = start("/usr/sbin/sshd", "-T")
    assert run.wait() == 0
    settings = dict(line.partition(" ")[::2] for line in run.lines)
    assert "subsystem" not in settings
    assert settings["disableforwarding"] == "yes"
    refused = (
        "allowtcpforwarding", "allowstreamlocalforwarding", "allowagentforwarding", "permittunnel",
        "x11forwarding", "gatewayports", "passwordauthentication",
    )  # fmt: skip
    for name in refused:
        assert settings[name] == "no", name


def test_each_debian_package_is_recorded_with_its_hash(start):
    shell = (
        "dpkg-query -W -f '${Package}\\t${Version}\\n' | sort; echo --; "
        "cut -f 1,2 /opt/trainer/share/debian-packages.txt | sort; echo --; "
        "cut -f 6 /opt/trainer/share/debian-packages.txt"
    )
    run = start("bash", "-c", shell)
    assert run.wait() == 0
    installed, recorded, hashes = run.text.split("\n--\n")
    assert installed == recorded
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes.splitlines())


def test_what_users_requirements_ask_for_is_there(start):
    """TensorFlow by either name, and what its summaries need; git for what pip takes from there."""
    wanted = "'tensorflow>=2.16' 'tensorflow[and-cuda]' tensorflow-cpu tensorboard"
    run = start("bash", "-c", f"pip install --no-index {wanted} && git --version")
    assert run.wait() == 0, run.text
    assert "Successfully installed" not in run.text
    assert run.lines[-1].startswith("git version")


def test_a_users_script_writes_summaries(start):
    script = (
        "import keras, numpy as np, os, tensorflow as tf\n"
        "with tf.summary.create_file_writer('/tmp/own').as_default():\n"
        "    tf.summary.scalar('a', 1.0, step=1)\n"
        "    tf.summary.image('i', np.zeros((1, 4, 4, 3)), step=1)\n"
        "model = keras.Sequential([keras.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "board = keras.callbacks.TensorBoard('/tmp/keras', histogram_freq=1)\n"
        "model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[board])\n"
        "print('wrote', *(len(os.listdir(f'/tmp/{name}')) for name in ('own', 'keras')))\n"
    )
    run = start("python3", "-c", script)
    assert run.wait() == 0, run.text
    assert run.lines[-1] == "wrote 1 1"


def test_two_builds_of_one_commit_are_alike(engine, image):
    """The steps that a change of the sources does again; docs/image.md has all of them."""
    if image.endswith("gpu"):
        pytest.skip("its last steps are those of the image for CPU")
    revision = engine.inspect(image)["Config"]["Labels"]["org.opencontainers.image.revision"]
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    if head and revision != head:
        pytest.skip(f"the image is of {revision}, the sources here are of {head}")
    other = f"{PREFIX}{uuid.uuid4().hex[:8]}:again"
    try:
        built = subprocess.run(
            [ROOT / "docker/build-image", "cpu", other, "--build-arg", f"AGAIN={other}"],
            env={**os.environ, "DOCKER": engine.client},
            capture_output=True, text=True, timeout=DEADLINE * 4, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stdout + built.stderr
        ran = subprocess.run(
            [sys.executable, ROOT / "docker/differences.py", engine.client, image, other],
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
    finally:
        engine("rmi", "--force", other, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def canonical(name: str) -> str:
    """As locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_as_locked(start, image):
    """And nothing else is there than the trainer and Horovod, which is built for it."""
    target = "gpu" if image.endswith("gpu") else "cpu"
    # The last one is TensorFlow's other name.
    built = ("trainer-anywhere", "horovod", "tensorflow-cpu" if target == "gpu" else "tensorflow")
    run = start("pip", "list", "--format", "freeze", *(f"--exclude={name}" for name in built))
    assert run.wait() == 0
    locks = [ROOT / f"requirements/{lock}.lock" for lock in (target, "sagemaker")]
    locked = re.findall(r"^([\w.-]+)==(\S+)", "".join(map(Path.read_text, locks)), re.MULTILINE)
    installed = [line.split("==") for line in run.lines]
    assert {(canonical(name), version) for name, version in installed} <= set(locked)
