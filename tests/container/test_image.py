"""What is in the image, and what is not."""

import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from containers import ROOT
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MEGABYTES = {"cpu": 2000, "gpu": 7500}
# What a secret looks like: a key itself, not code or text that speaks of one.
SECRETS = re.compile(
    rb"-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60}"
    rb"|(?<![A-Z0-9])AKIA(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])"
    rb'|"private_key_id": *"[0-9a-f]{40}"'
    rb"|(?<![\w-])ghp_[A-Za-z0-9]{36}(?!\w)"
)
# One of these is part of each; looked for first, as that is faster.
MARKS = (b"PRIVATE KEY-----", b"AKIA", b"private_key_id", b"ghp_")
NAMES = re.compile(
    r"(^|/)(ssh_host_[^/]*_key|id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|\.git|"
    r"\.aws|\.docker|authorized_keys|credentials\.json)$"
)
LEFT = re.compile(
    r"^(build|root/\.cache|tmp/.+|var/tmp/.+|var/cache/apt/archives/.*\.deb|workspace/.+)(/|$)"
)


@pytest.fixture(scope="module")
def layers(engine, image, tmp_path_factory):
    """Every file of every layer: name and content, also those that a later layer takes away."""
    saved = tmp_path_factory.mktemp("image") / "image.tar"
    engine("save", "--output", str(saved), image, timeout=600)
    with tarfile.open(saved) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))
        yield [(name, outer.extractfile(name)) for name in manifest[0]["Layers"]]
    saved.unlink()


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
    assert labels["org.opencontainers.image.base.name"] == "debian:trixie-slim"
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


def test_no_layer_has_a_secret_or_what_the_build_left(layers):
    found = []
    for layer, raw in layers:
        with tarfile.open(fileobj=io.BufferedReader(raw), mode="r|*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if NAMES.search(name) or (LEFT.match(name) and not member.isdir()):
                    found.append((layer[:12], name))
                if member.isfile() and member.size < 20_000_000:
                    data = tar.extractfile(member).read()
                    if any(mark in data for mark in MARKS):
                        found += [(name, match[:60]) for match in SECRETS.findall(data)]
    assert found == []


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


def test_packages_fit_together_and_no_compiler_is_there(start):
    run = start("bash", "-c", "pip check; type -P gcc cc g++ nvcc make; true")
    assert run.wait() == 0
    assert run.lines == ["No broken requirements found."]


def canonical(name: str) -> str:
    """As locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_as_locked(start, image):
    """And nothing else is there than the trainer and Horovod, which is built for it."""
    run = start(
        "pip", "list", "--format", "freeze", "--exclude", "trainer-anywhere", "--exclude", "horovod"
    )
    assert run.wait() == 0
    target = "gpu" if image.endswith("gpu") else "cpu"
    locks = [ROOT / f"requirements/{lock}.lock" for lock in (target, "sagemaker")]
    locked = re.findall(r"^([\w.-]+)==(\S+)", "".join(map(Path.read_text, locks)), re.MULTILINE)
    installed = [line.split("==") for line in run.lines]
    assert {(canonical(name), version) for name, version in installed} <= set(locked)
