"""The list of what is in the image, and what is asked about it."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from containers import ROOT, missing

PYTHON = ROOT / ".venv-audit/bin/python"


@pytest.fixture(scope="module", autouse=True)
def tools():
    """The environment of the audit."""
    made = subprocess.run(
        ["make", "-o", "setup", ".venv-audit/.installed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if made.returncode:
        missing(f"the tools cannot be installed:\n{made.stderr[-2000:]}")


def test_every_package_is_listed_and_looked_up(engine, image):
    """Where no database can be reached that is said, and the list made all the same."""
    ran = subprocess.run(
        [PYTHON, "docker/sbom.py", engine.client, image],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # 1: something is known to be vulnerable; a test that fails by itself one day helps nobody.
    assert ran.returncode in (0, 1, 3), ran.stderr
    lines = ran.stdout.splitlines()
    asked = [line for line in lines if line.startswith(f"audit: {image}: ")]
    assert any(
        "updates of Debian packages pending" in line or "asked for" in line for line in asked
    )
    assert lines[-1].startswith(f"audit: {image}: ")
    assert lines[-1].endswith("could not be looked up")
    # Not green where that is all.
    unknown = lines[-1].split(", ")[-1].split()
    assert ran.returncode or unknown[0] != unknown[2]

    told = json.loads((ROOT / lines[0].split()[1].rstrip(":")).read_text())
    assert told["bomFormat"] == "CycloneDX"
    whole = told["metadata"]["component"]
    assert whole["type"] == "container"
    known = engine.inspect(image)
    assert whole["hashes"] == [{"alg": "SHA-256", "content": known["Id"].removeprefix("sha256:")}]
    facts = {fact["name"]: fact["value"] for fact in whole["properties"]}
    labels = known["Config"]["Labels"]
    assert facts["trainer:revision"] == labels["org.opencontainers.image.revision"]
    assert facts["trainer:base.name"] == labels["org.opencontainers.image.base.name"]
    components = told["components"]
    urls = {component["purl"].partition("@")[0] for component in components}
    assert {"pkg:deb/debian/openssh-server", "pkg:pypi/horovod", "pkg:pypi/keras"} <= urls
    assert {"pkg:pypi/tensorflow-cpu", "pkg:pypi/tensorflow"} <= urls
    # TensorFlow's other name has no file, and so no hash. Slim images leave out where some packages
    # point to the licence of another one.
    assert sum("hashes" not in component for component in components) == 1
    assert sum("licenses" not in component for component in components) <= 6


@pytest.mark.parametrize("answered", [True, False])
def test_debian_packages_are_looked_up_by_their_sources(answered):
    asked = []

    class Database(BaseHTTPRequestHandler):
        def do_POST(self):
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.append((self.path, queries))
            body = {"results": [{"vulns": [{"id": "CVE-1"}]}] + [{} for _ in queries[1:]]}
            self.send_response(200 if answered else 500)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    packages = [
        {"name": "libssl3", "version": "3.5-1", "source": "openssl", "source_version": "3.5-1"},
        {"name": "openssl", "version": "3.5-1", "source": "openssl", "source_version": "3.5-1"},
        {"name": "zlib1g", "version": "1:1", "source": "zlib", "source_version": "1:1"},
    ]
    system = {"ID": "debian", "VERSION_ID": "13"}
    with HTTPServer(("127.0.0.1", 0), Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ran = subprocess.run(
            [PYTHON, "-c", f"import audit; print(audit.look_up({packages}, {system}))"],
            cwd=ROOT / "docker",
            env={**os.environ, "OSV_URL": f"http://127.0.0.1:{server.server_port}/v1/query",
                 "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT / "docker")},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        server.shutdown()
    assert ran.returncode == 0, ran.stderr
    ((path, queries),) = asked
    assert path == "/v1/querybatch"
    assert [query["package"]["name"] for query in queries] == ["openssl", "zlib"]
    assert queries[0]["package"]["ecosystem"] == "Debian:13"
    if answered:
        assert ran.stdout.splitlines() == ["audit: openssl 3.5-1: CVE-1", "(1, 0)"]
    else:
        assert ran.stdout.splitlines()[-1] == "(0, 3)"
