"""Whom an image trusts beyond Debian's certificate authorities, on folders that stand for it."""

import base64
import hashlib
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "docker"))
import trust


def pem(name: str) -> str:
    """Stands for a certificate: only its text is compared."""
    text = base64.b64encode(name.encode() * 20).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def root(tmp_path) -> Path:
    """A system that trusts what its package ca-certificates has brought."""
    for name in ("usr/local/share/ca-certificates", "usr/share/ca-certificates/mozilla",
                 "etc/ssl/certs", "var/lib/dpkg/info"):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
    sums = ""
    for name in ("One", "Two"):
        file = tmp_path / f"usr/share/ca-certificates/mozilla/{name}.crt"
        file.write_text(pem(name))
        digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        sums += f"{digest}  {file.relative_to(tmp_path)}\n"
        (tmp_path / f"etc/ssl/certs/{name}.pem").symlink_to(file)
    (tmp_path / "var/lib/dpkg/info/ca-certificates.md5sums").write_text(sums)
    # One of them switched off is no harm.
    (tmp_path / "etc/ssl/certs/ca-certificates.crt").write_text(pem("One"))
    return tmp_path


def test_what_debian_brings_is_trusted(root):
    assert list(trust.beyond_debian(root)) == []


@pytest.mark.parametrize(
    "name",
    [
        "usr/local/share/ca-certificates/own.crt",
        "usr/local/share/ca-certificates/below/own.crt",
        "usr/share/ca-certificates/mozilla/Own.crt",
        "usr/share/ca-certificates/own/Own.crt",
        "etc/ssl/certs/own.pem",
        "etc/ssl/certs/1a2b3c4d.0",
        "etc/ssl/cert.pem",
    ],
)
def test_an_authority_of_the_build_machine_is_found(root, name):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(pem("Own"))
    (line,) = trust.beyond_debian(root)
    assert line.startswith(f"/{name}: ")


def test_an_authority_that_was_added_to_a_list_is_found(root):
    """Among those of Debian, or in place of one that a file's name promises."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_text(pem("Two") + pem("Own").replace("CERTIFICATE", "TRUSTED CERTIFICATE"))
    (root / "usr/share/ca-certificates/mozilla/One.crt").write_text(pem("Own"))
    lines = list(trust.beyond_debian(root))
    assert lines[0].startswith("/usr/share/ca-certificates/mozilla/One.crt: not as Debian's")
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "/etc/ssl/certs/One.pem", "/etc/ssl/certs/ca-certificates.crt",
    ]  # fmt: skip


@pytest.mark.parametrize("changed", [False, True])
def test_a_list_in_a_python_package_is_as_it_was_published(tmp_path, changed):
    (tmp_path / "certifi").mkdir()
    info = tmp_path / "certifi-1.dist-info"
    info.mkdir()
    bundle = tmp_path / "certifi/cacert.pem"
    bundle.write_text(pem("One"))
    digest = base64.urlsafe_b64encode(hashlib.sha256(bundle.read_bytes()).digest()).decode()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: certifi\nVersion: 1\n")
    (info / "RECORD").write_text(
        f"certifi/cacert.pem,sha256={digest.rstrip('=')},9\na/gone.pem,,\n"
    )
    if changed:
        bundle.write_text(pem("One") + pem("Own"))
    lines = list(trust.changed_bundles([PathDistribution(info)]))
    assert lines == ([f"{bundle}: not as certifi 1 has it"] if changed else [])


def test_settings_that_have_programs_trust_others_are_found(tmp_path):
    (tmp_path / "etc/apt/apt.conf.d").mkdir(parents=True)
    (tmp_path / "etc/apt/apt.conf.d/01keep").write_text('APT::Keep "cert-manager";\n')
    (tmp_path / "etc/apt/apt.conf.d/02own").write_text('Acquire::https::CAInfo "/own.crt";\n')
    (tmp_path / "etc/pip.conf").write_text("[global]\n# cert = /old\ncert = /own.crt\n")
    env = {"SSL_CERT_FILE": "/own.crt", "PIP_CERT": "/own.crt", "PATH": "/bin", "CERT": "x"}
    assert list(trust.settings(tmp_path, env)) == [
        "$PIP_CERT=/own.crt: has programs trust another list",
        "$SSL_CERT_FILE=/own.crt: has programs trust another list",
        "/etc/pip.conf: cert =",
        "/etc/apt/apt.conf.d/02own: Acquire::https::CAInfo",
    ]
