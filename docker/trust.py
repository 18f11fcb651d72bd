"""Say whom an image trusts beyond Debian's own list of certificate authorities.

Runs in the image:

    docker run --rm -i --network none --entrypoint python3 IMAGE - <docker/trust.py

One line for each thing that is trusted, or that changes what is trusted; exit code 1 if there is
one.
A private authority of the machine that built an image could read what all who use it send.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

CERTIFICATE = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [A-Z0-9 ]*-----", re.DOTALL
)
# What makes OpenSSL, Python's clients, curl, git, gRPC or pip trust another list.
VARIABLES = re.compile(
    r"SSL_CERT_(FILE|DIR)|(REQUESTS|CURL|AWS)_CA_BUNDLE|PIP_(CERT|TRUSTED_HOST)|GIT_SSL_\w+"
    r"|NODE_EXTRA_CA_CERTS|GRPC_DEFAULT_SSL_ROOTS_FILE_PATH|HTTPLIB2_CA_CERTS"
    r"|CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE|NIX_SSL_CERT_FILE|OPENSSL_CONF|PYTHONHTTPSVERIFY"
)
# Settings of a machine, which no image of ours has; and which of their words would change it.
SETTINGS = ("etc/pip.conf", "root/.config/pip/pip.conf", "root/.pip/pip.conf",
            "opt/trainer/pip.conf", "etc/gitconfig", "root/.gitconfig", "root/.curlrc",
            "root/.netrc", "etc/apt/apt.conf",
            "etc/apt/apt.conf.d/*", "root/.aws/config", "root/.condarc")  # fmt: skip
WORDS = re.compile(
    r"(?im)^[^#;\n]*?(?:\b(?:cert|trusted-host|sslVerify|cacert|ca_bundle)\s*=|\w*CAInfo\b)"
)


def certificates(file: Path) -> set[bytes]:
    """Each certificate of a file, by what is in it alone."""
    found = CERTIFICATE.findall(file.read_bytes())
    return {b"".join(text.split(b"-----")[2].split()) for text in found}


def beyond_debian(root: Path) -> Iterator[str]:
    """Return what the system trusts that its package ca-certificates has not brought."""
    for file in sorted((root / "usr/local/share/ca-certificates").rglob("*")):
        if not file.is_dir():
            yield f"/{file.relative_to(root)}: a certificate authority of the build machine"
    sums = root / "var/lib/dpkg/info/ca-certificates.md5sums"
    listed = dict(reversed(line.split(maxsplit=1)) for line in sums.read_text().splitlines())
    known: set[bytes] = set()
    for file in sorted((root / "usr/share/ca-certificates").rglob("*.crt")):
        name = str(file.relative_to(root))
        if listed.get(name) != hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest():
            yield f"/{name}: not as Debian's package ca-certificates has it"
        else:
            known |= certificates(file)
    places = [
        *(root / "etc/ssl/certs").iterdir(),
        root / "usr/lib/ssl/cert.pem",
        root / "etc/ssl/cert.pem",
    ]
    for file in sorted(places):
        if not file.is_file():
            continue
        strange = len(certificates(file) - known)
        if strange:
            yield f"/{file.relative_to(root)}: {strange} that Debian's ca-certificates has not"


def changed_bundles(packages: list[Distribution]) -> Iterator[str]:
    """Return lists of authorities in Python packages that are not as the package was published."""
    for package in packages:
        for path, digest, _ in csv.reader((package.read_text("RECORD") or "").splitlines()):
            if not path.endswith((".pem", ".crt")) or not digest:
                continue
            kind, _, recorded = digest.partition("=")
            file = Path(str(package.locate_file(path)))
            found = hashlib.new(kind, file.read_bytes()).digest() if file.is_file() else b""
            if found and base64.urlsafe_b64encode(found).rstrip(b"=").decode() != recorded:
                yield f"{file}: not as {package.metadata['Name']} {package.version} has it"


def settings(root: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Variables and files that have programs trust others."""
    for name in sorted(env):
        if VARIABLES.fullmatch(name):
            yield f"${name}={env[name]}: has programs trust another list"
    for pattern in SETTINGS:
        for file in sorted(root.glob(pattern)):
            match = WORDS.search(file.read_text(errors="replace"))
            if match:
                yield f"/{file.relative_to(root)}: {match[0].strip()}"


def main() -> int:
    """Print all that is found; 1 if there is something."""
    found = [
        *beyond_debian(Path("/")),
        *changed_bundles(list(distributions())),
        *settings(Path("/"), os.environ),
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
