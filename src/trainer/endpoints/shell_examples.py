"""Working requests by curl and by Python, for endpoints that are asked over HTTP."""

from __future__ import annotations

import shlex

from trainer.endpoints.sample import SampleRequest
from trainer.endpoints.target import RequestExamples


def json_command(sample: SampleRequest) -> str:
    """Return a command that prints a request's JSON; large inputs make it no longer."""
    return f"python3 -c {shlex.quote(f'import json; print(json.dumps({sample.expression}))')}"


def http_examples(url: str, sample: SampleRequest) -> RequestExamples:
    """Return a request of a server that asks for no credentials."""
    shell = (
        f"{json_command(sample)} |\n"
        "  curl --silent --show-error --header 'Content-Type: application/json' \\\n"
        f"    --data-binary @- {shlex.quote(url)}"
    )
    python = (
        "import json\nimport urllib.request\n\n"
        "request = urllib.request.Request(\n"
        f"    {url!r},\n"
        f"    json.dumps({sample.expression}).encode(),\n"
        '    {"Content-Type": "application/json"},\n'
        ")\n"
        "print(urllib.request.urlopen(request).read().decode())"
    )
    return RequestExamples(shell=shell, python=python)


def google_examples(url: str, sample: SampleRequest) -> RequestExamples:
    """Return a request of a service of Google's, with the user's credentials."""
    shell = (
        f"{json_command(sample)} |\n"
        "  curl --silent --show-error --header 'Content-Type: application/json' \\\n"
        '    --header "Authorization: Bearer $(gcloud auth print-access-token)" \\\n'
        f"    --data-binary @- {shlex.quote(url)}"
    )
    python = (
        "import google.auth\nfrom google.auth.transport.requests import AuthorizedSession\n\n"
        "user, _ = google.auth.default(\n"
        '    scopes=["https://www.googleapis.com/auth/cloud-platform"]\n'
        ")\n"
        "answer = AuthorizedSession(user).post(\n"
        f"    {url!r},\n"
        f"    json={sample.expression},\n"
        ")\n"
        "print(answer.text)"
    )
    return RequestExamples(shell=shell, python=python)
