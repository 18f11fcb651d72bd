"""A job's objects as text: YAML for `kubectl apply`, JSON, and the commands that make them."""

from __future__ import annotations

import json
import shlex
from typing import Any

from trainer.config import UserError
from trainer.platforms import SECRET_KEY, SECRET_VARIABLE, KubernetesRequest
from trainer.runtime import install_command


def as_json(request: KubernetesRequest) -> str:
    """Return the objects as a list of the API."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(request.manifests)},
                      indent=2, ensure_ascii=False)  # fmt: skip


def as_yaml(request: KubernetesRequest) -> str:
    """Return the objects as a stream of documents, for `kubectl apply -f -`.

    Raises:
        UserError: The package that writes YAML is missing.
    """
    first = [f"# before: {_secret_command(request)}"] if request.secret else []
    documents = [_document(manifest) for manifest in request.manifests]
    return "\n".join([*first, "---\n".join(documents)])


def as_cli(request: KubernetesRequest) -> str:
    """Return the commands of kubectl that start the job.

    Raises:
        UserError: The package that writes YAML is missing.
    """
    commands = [_secret_command(request)] if request.secret else []
    documents = "---\n".join(_document(manifest) for manifest in request.manifests)
    commands.append(f"{_kubectl(request)} create -f - <<'EOF'\n{documents}EOF")
    return "\n".join(commands)


def secret_manifest(request: KubernetesRequest) -> dict[str, Any]:
    """Return the Secret with the key by which the job's pods know each other; never printed."""
    metadata = dict(request.manifests[-1]["metadata"])
    metadata.pop("annotations", None)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {SECRET_KEY: request.secret},
    }


def _secret_command(request: KubernetesRequest) -> str:
    """Return the command that makes the Secret of the variable that the user's shell has."""
    source = f'printf %s "${SECRET_VARIABLE}"'
    make = f"create secret generic {request.name} --from-file={SECRET_KEY}=/dev/stdin"
    return f"{source} | {_kubectl(request)} {make}"


def _kubectl(request: KubernetesRequest) -> str:
    where = ["--context", request.context] if request.context else []
    where += ["--namespace", request.namespace] if request.namespace else []
    return shlex.join(["kubectl", *where])


def _document(manifest: dict[str, Any]) -> str:
    try:
        import yaml
    except ImportError:
        raise UserError(
            subject="--print yaml",
            problem="the package PyYAML is missing",
            remedy=f"{install_command('submit')}, or take --print request, which kubectl reads too",
        ) from None
    # Lists that several pods share are written out for each.
    plain = json.loads(json.dumps(manifest))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text
