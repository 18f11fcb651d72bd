import base64
import json
import subprocess
from typing import Any

import pytest

from trainer.backends.kubernetes.backend import BACKEND
from trainer.config.flags import job_from_flags
from trainer.platforms import KubernetesOptions, KubernetesRequest, Submission, kubernetes_request

pytestmark = pytest.mark.slow

SECRET = "a b'$(c)\"d"


def request(flavor: str = "job", **more: Any) -> KubernetesRequest:
    sent = Submission(
        job=job_from_flags({"module": "m", "hp": (("text", "it's\n- yes: $(no)"),)}),
        given=frozenset({"module", "hp"}),
        name="mnist",
        image="r/trainer:cpu",
        output="s3://b/runs",
        hosts=2,
        **more,
    )
    return kubernetes_request(sent, KubernetesOptions(flavor=flavor))


def without_what_the_server_adds(found: dict[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in found["metadata"].items() if k not in ("uid", "creationTimestamp")}
    # The client's namespace comes into each object.
    metadata.pop("namespace", None)
    return {**found, "metadata": metadata}


@pytest.mark.parametrize("flavor", ["job", "jobset", "trainjob"])
@pytest.mark.parametrize("form", ["yaml", "request"])
def test_kubectl_makes_of_what_is_printed_the_objects_that_are_submitted(cluster, form, flavor):
    sent = request(flavor)
    text = BACKEND.forms[form](sent)
    subprocess.run(["kubectl", "create", "-f", "-"], input=text, text=True, check=True)
    made = [without_what_the_server_adds(each) for each in cluster.objects.values()]
    assert made == json.loads(json.dumps(sent.manifests))


def test_the_commands_that_are_printed_start_the_job_with_the_key_of_the_shell(
    cluster, monkeypatch
):
    text = BACKEND.forms["cli"](request(secret=SECRET))
    assert SECRET not in text
    monkeypatch.setenv("TRAINER_SECRET", SECRET)
    subprocess.run(["bash", "-ec", text], check=True)
    assert {kind for kind, _ in cluster.objects} == {"secrets", "services", "jobs"}
    made = cluster.objects["secrets", "mnist"]["data"]
    assert base64.b64decode(made["value"]).decode() == SECRET
    args = cluster.objects["jobs", "mnist"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "text=it's\n- yes: $$(no)" in args


@pytest.mark.parametrize("form", ["yaml", "cli", "request"])
def test_no_form_shows_the_key(form):
    text = BACKEND.forms[form](request(secret="s3cret-of-mine"))
    assert "s3cret-of-mine" not in text
    assert "secretKeyRef" in text


def test_yaml_says_what_has_to_be_there_before():
    text = BACKEND.forms["yaml"](request(secret=SECRET))
    assert text.splitlines()[0] == (
        '# before: printf %s "$TRAINER_SECRET" | kubectl create secret generic mnist '
        "--from-file=value=/dev/stdin"
    )
