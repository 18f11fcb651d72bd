"""`trainer submit --to vertex` and `trainer jobs … --on vertex`, against a server that checks."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import buckets
import google_discovery
import pytest
import vertex_sdk
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from processes import TRAINER, environment, signal_at, trainer
from vertex_server import VertexServer, vertex_server

SUBMIT = ("submit", "--to", "vertex", "--image", "images/trainer:cpu", "--name", "mnist",
          "--output", "gs://b/runs")  # fmt: skip
ARGS = ("--", "--train", "gs://b/mnist", "--steps", "40", "--learning-rate", "1e-3")


@pytest.fixture
def server() -> Iterator[VertexServer]:
    with vertex_server() as service:
        yield service
    assert service.mistakes == []


@pytest.fixture
def run(server, tmp_path):
    """Return what runs a command that finds the server in the place of Google's."""
    env = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": server.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": server.url,
        "GOOGLE_CLOUD_PROJECT": "p",
    }

    def command(*argv: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*TRAINER, *argv], env=environment(env | more), capture_output=True, text=True,
            timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip

    return command


def test_a_job_is_created_and_its_number_printed(server, run):
    ran = run(*SUBMIT, "--hosts", "3", "--accelerator-type", "nvidia-tesla-t4", *ARGS)
    assert (ran.returncode, ran.stdout) == (0, "1000\n"), ran.stderr
    path, body = server.created[-1]
    assert path == "/v1/projects/p/locations/us-central1/customJobs"
    assert [pool["replicaCount"] for pool in body["jobSpec"]["workerPoolSpecs"]] == [1, 2]
    assert "trainer jobs logs 1000 --on vertex" in ran.stderr
    assert "https://console.cloud.google.com/vertex-ai/locations/us-central1/training/1000" in (
        ran.stderr
    )


def test_what_is_printed_is_what_is_sent(server, run):
    printed = run(*SUBMIT, "--print", "request", *ARGS)
    assert server.requests == []
    run(*SUBMIT, *ARGS)
    assert json.loads(printed.stdout) == server.created[-1][1]


@pytest.mark.parametrize("form", ["request", "python", "cli", "yaml"])
def test_printing_needs_no_credentials_no_network_and_no_project(form, tmp_path):
    nothing = {"HOME": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere", "PATH": ""}
    nothing |= dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
    ran = trainer(*SUBMIT, "--print", form, *ARGS, env=nothing)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "gs://b/runs/mnist" in ran.stdout


def test_gclouds_file_has_each_argument_as_text(run):
    """YAML's versions differ in what is a number; `1e-3` is one in some."""
    ran = run(*SUBMIT, "--print", "yaml", *ARGS)
    spec = yaml.safe_load(ran.stdout)
    assert spec == json.loads(run(*SUBMIT, "--print", "request", *ARGS).stdout)["jobSpec"]
    assert '- "1e-3"' in ran.stdout or '- "0.001"' in ran.stdout
    assert google_discovery.mistakes(spec, "GoogleCloudAiplatformV1CustomJobSpec") == []


def test_the_printed_command_calls_gcloud_with_the_file(run, tmp_path):
    """A program in gcloud's place writes down its arguments and the file."""
    fake = tmp_path / "bin/gcloud"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "(file,) = [a[9:] for a in sys.argv if a.startswith('--config=')]\n"
        "print(json.dumps([sys.argv[1:], open(file).read()]))\n"
    )
    fake.chmod(0o755)
    hard = ("--module", "a,b;c d's$(x)", "--hp", 'note="two words", more')
    words = (*SUBMIT, "--tags", "team=vision", "run=1", "--print")
    ran = run(*words, "cli", *ARGS, *hard)
    told = subprocess.run(
        ["bash", "-eu"], input=ran.stdout, capture_output=True, text=True, check=True,
        env={"PATH": f"{fake.parent}:/usr/bin:/bin"},
    )  # fmt: skip
    argv, file = json.loads(told.stdout)
    assert argv[:-1] == [
        "ai", "custom-jobs", "create", "--project=p", "--region=us-central1",
        "--display-name=mnist", "--labels=team=vision,run=1",
    ]  # fmt: skip
    assert argv[-1].startswith("--config=")
    expected = json.loads(run(*words, "request", *ARGS, *hard).stdout)["jobSpec"]
    assert yaml.safe_load(file) == expected
    assert 'note="two words", more' in (expected["workerPoolSpecs"][0]["containerSpec"]["args"])


def test_a_local_folder_needs_a_bucket_that_it_is_copied_to(run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.tfrecord").write_text("a")
    words = ("submit", "--to", "vertex", "--image", "i", "--print", "request")
    rest = ("--", "--train", "data", "--job-dir", "gs://b/job")
    ran = run(*words, *rest)
    assert ran.returncode == 2
    assert "--train data: Vertex AI's machines do not have this machine's files; give --st" in (
        ran.stderr
    )
    ran = run(*words, "--staging-bucket", "gs://b/stage", *rest)
    (pool,) = json.loads(ran.stdout)["jobSpec"]["workerPoolSpecs"]
    assert "--train" in pool["containerSpec"]["args"]
    (url,) = [word for word in pool["containerSpec"]["args"] if "/data/" in word]
    assert url.startswith("gs://b/stage/data/")


def test_a_bucket_that_vertex_ai_mounts_is_passed_on(run):
    ran = run(*SUBMIT, "--print", "request", "--", "--train", "/gcs/b/mnist")
    assert '"/gcs/b/mnist"' in ran.stdout, ran.stderr


def test_a_search_becomes_a_tuning_job(server, run):
    ran = run(
        *SUBMIT, "--tune", "learning-rate=0.001..0.1:log", "batch-size=32,64", "--trials", "8",
        "--", "--train", "gs://b/mnist", "--steps", "40",
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "1000\n"), ran.stderr
    path, body = server.created[-1]
    assert path.endswith("/hyperparameterTuningJobs")
    assert [p["parameterId"] for p in body["studySpec"]["parameters"]] == [
        "batch_size", "learning_rate",
    ]  # fmt: skip
    assert (body["maxTrialCount"], body["parallelTrialCount"]) == (8, 2)
    assert body["trialJobSpec"]["baseOutputDirectory"] == {"outputUriPrefix": "gs://b/runs/mnist"}


def sent(server, run, **fields) -> str:
    """Submit a job, and set what the service says about it."""
    number = run(*SUBMIT, *ARGS).stdout.strip()
    server.jobs[number] |= fields
    return number


def test_lines_of_all_replicas_come_in_their_order(server, run):
    number = sent(server, run, state="JOB_STATE_SUCCEEDED")
    for second, task, text in (
        ("03", "workerpool1-0", "starting"),
        ("02", "workerpool0-0", {"message": "step=1 loss=2.3", "loss": 2.3}),
        ("05", "workerpool0-0", "two\nlines"),
        ("04", "workerpool0-0", {"message": "step=2 loss=1.9"}),
    ):
        server.log(number, text, task=task, time=f"2026-01-01T01:00:{second}Z", severity="INFO")
    server.log("77", "of another job", task="workerpool0-0", time="2026-01-01T01:00:04Z")
    ran = run("jobs", "logs", number, "--on", "vertex")
    assert ran.stdout.splitlines() == [
        "[workerpool0-0] step=1 loss=2.3",
        "[workerpool1-0] starting",
        "[workerpool0-0] step=2 loss=1.9",
        "[workerpool0-0] two",
        "[workerpool0-0] lines",
    ]


def test_a_failed_job_ends_the_follower_with_its_own_code_and_its_text(server, run):
    text = "The replica workerpool0-0 exited with a non-zero status of 2. To find out more, see …"
    number = sent(server, run, state="JOB_STATE_FAILED", error={"code": 3, "message": text})
    server.log(number, "trainer: --train gs://b/mnist: nothing is there", task="workerpool0-0",
               time="2026-01-01T01:00:02Z", severity="ERROR")  # fmt: skip
    ran = run("jobs", "logs", number, "--on", "vertex", "--follow")
    assert ran.returncode == 2
    assert f"job {number} failed: {text}" in ran.stderr
    assert "nothing is there" in ran.stdout


def test_an_interrupted_follower_leaves_the_job_running(server, run):
    import signal

    number = sent(server, run, state="JOB_STATE_RUNNING", startTime="2026-01-01T00:00:00Z")
    server.log(number, "step=1", task="workerpool0-0", time="2026-01-01T01:00:02Z")
    env = {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": server.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": server.url,
    }
    argv = [*TRAINER, "jobs", "logs", number, "--on", "vertex", "--project", "p", "--follow"]
    code, lines = signal_at(argv, "[workerpool0-0] step=1", signal.SIGINT, env=env)
    assert code == 130
    assert f"trainer jobs logs {number} --on vertex --project p --follow" in lines[-1]
    assert server.jobs[number]["state"] == "JOB_STATE_RUNNING"


def test_jobs_are_found_by_number_and_by_name_and_listed_newest_first(server, run):
    first = sent(server, run, state="JOB_STATE_SUCCEEDED")
    second = sent(server, run, state="JOB_STATE_RUNNING")
    listed = run("jobs", "list", "--on", "vertex").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [[second, "running"], [first, "completed"]]
    assert all("mnist n1-standard-4" in line for line in listed)
    assert run("jobs", "stop", "mnist", "--on", "vertex").returncode == 0
    assert server.jobs[second]["state"] == "JOB_STATE_CANCELLING"
    server.jobs[first]["state"] = "JOB_STATE_PENDING"
    assert run("jobs", "stop", server.jobs[first]["name"], "--on", "vertex").returncode == 0
    assert server.jobs[first]["state"] == "JOB_STATE_CANCELLING"


def test_what_a_job_left_comes_home(server, run, tmp_path):
    with buckets.gs() as (bucket, fs, env):
        words = ("submit", "--to", "vertex", "--image", "i", "--name", "mnist", "--output")
        number = run(*words, f"{bucket}/runs", *ARGS).stdout.strip()
        ran = run("jobs", "fetch", number, "--on", "vertex", "--out", "home", **env)
        assert ran.returncode == 2
        text = "The replica workerpool0-0 exited with a non-zero status of 1."
        server.jobs[number] |= {"state": "JOB_STATE_FAILED", "error": {"message": text}}
        for name in ("metrics.json", "model/saved_model.pb", "checkpoints/40/state.json"):
            fs.pipe(f"bucket/runs/mnist/{name}", name.encode())
        ran = run("jobs", "fetch", number, "--on", "vertex", "--out", "home", **env)
        assert (ran.returncode, ran.stdout) == (0, "home\n"), ran.stderr
        # A second try brings what is missing, and leaves the rest.
        kept, lost = tmp_path / "home/model/saved_model.pb", tmp_path / "home/metrics.json"
        before = kept.stat().st_mtime_ns
        lost.unlink()
        assert (
            run("jobs", "fetch", number, "--on", "vertex", "--out", "home", **env).returncode == 0
        )
        assert lost.read_text() == "metrics.json"
        assert kept.stat().st_mtime_ns == before
    found = {p.relative_to(tmp_path / "home").as_posix() for p in tmp_path.rglob("home/**/*")
             if p.is_file()}  # fmt: skip
    assert found == {
        "failure.txt", "metrics.json", "model/saved_model.pb", "checkpoints/40/state.json",
    }  # fmt: skip
    assert (tmp_path / "home/failure.txt").read_text() == f"{text}\n"


def test_a_job_that_is_not_there(run):
    for name in ("123", "no such"):
        ran = run("jobs", "logs", name, "--on", "vertex")
        assert ran.returncode == 2
        assert ran.stderr.startswith(
            f"trainer: error: job {name}: there is none in project p, region us-central1; see "
        )


def test_a_name_that_a_running_job_has_is_refused_and_that_of_an_ended_one_is_gone_on_with(
    server, run
):
    number = sent(server, run, state="JOB_STATE_RUNNING")
    ran = run(*SUBMIT, *ARGS)
    assert ran.returncode == 2
    assert ran.stderr == (
        f"trainer: error: --name mnist: job {number} is running and writes to gs://b/runs/mnist; "
        "give another name, or stop that job\n"
    )
    server.jobs[number]["state"] = "JOB_STATE_FAILED"
    ran = run(*SUBMIT, *ARGS)
    assert (ran.returncode, ran.stdout) == (0, "1001\n")
    assert f"gs://b/runs/mnist: job {number} wrote here (failed); this one goes on" in ran.stderr


def test_a_followed_job_says_its_states_and_its_lines(server, run):
    """The states change with each question, as the service's do with time."""
    states = ["JOB_STATE_PENDING"] * 2 + ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]

    def next_state(job: dict) -> None:
        job["state"] = states.pop(0) if states else job["state"]
        number = job["name"].rpartition("/")[2]
        for step, state in enumerate(["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"], start=1):
            if job["state"] == state and len(server.entries) < step:
                time = f"2026-01-01T01:00:{step}0Z"
                server.log(number, f"step={step}", task="workerpool0-0", time=time)

    server.on_question = next_state
    ran = run(*SUBMIT, "--wait", *ARGS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["[workerpool0-0] step=1", "[workerpool0-0] step=2"]
    said = [line for line in ran.stderr.splitlines() if line.startswith("1000 ")]
    assert [line.split()[1] for line in said] == ["waiting:", "running:", "completed:"]


@pytest.mark.parametrize(
    ("status", "code", "message", "said"),
    [
        (429, "RESOURCE_EXHAUSTED", "The following quota metrics exceed quota limits: "
         "aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus", "more of this quota"),
        (403, "PERMISSION_DENIED", "You do not have permission to act as service_account: me@p "
         "(or it may not exist)", "roles/iam.serviceAccountUser"),
        (403, "PERMISSION_DENIED", "Vertex AI API has not been used in project p before or it is "
         "disabled", "gcloud services enable aiplatform.googleapis.com"),
        (403, "PERMISSION_DENIED", "Permission 'aiplatform.customJobs.create' denied", "the role"),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials", "sign in again"),
        (404, "NOT_FOUND", "The project was not found", "The project was not found"),
        (409, "ALREADY_EXISTS", "There is one", "give another --name"),
        (400, "INVALID_ARGUMENT", "Invalid machine", "job_spec.machine: no such machine"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_one_line(server, run, status, code, message, said):
    server.refuse(
        status, code, message, {"field": "job_spec.machine", "description": "no such machine"}
    )
    ran = run(*SUBMIT, *ARGS)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert server.jobs == {}


def test_a_service_that_does_not_answer_now_ends_with_the_code_for_another_try(server, run):
    server.refuse(503, "UNAVAILABLE", "The service is currently unavailable")
    ran = run(*SUBMIT, *ARGS)
    assert ran.returncode == 200
    assert "The service is currently unavailable (UNAVAILABLE)" in ran.stderr
    assert "the job may be there all the same: see trainer jobs list --on vertex" in ran.stderr
    # Nobody knows whether the job was made: it is not sent twice.
    assert [method for method, *_ in server.requests].count("POST") == 1


def test_without_credentials_a_line_says_how_to_sign_in(tmp_path):
    nothing = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true",
               "GOOGLE_CLOUD_PROJECT": "p"}  # fmt: skip
    ran = trainer(*SUBMIT, *ARGS, env=nothing)
    assert ran.returncode == 2
    assert ran.stderr.startswith(
        "trainer: error: Vertex AI: there are no Google credentials; sign in "
    )


def test_credentials_that_are_taken_back_are_one_line(server, tmp_path):
    """The key of a service account whose owner has deleted it, say."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file = tmp_path / "key.json"
    account = {"type": "service_account", "client_email": "me@p", "private_key": key.decode()}
    file.write_text(json.dumps(account | {"token_uri": f"{server.url}/token"}))
    server.refusal = 400, {"error": "invalid_grant", "error_description": "Invalid JWT"}
    env = {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "GOOGLE_CLOUD_PROJECT": "p"}
    ran = trainer(*SUBMIT, *ARGS, env=env)
    assert ran.returncode == 2
    assert ran.stderr.startswith("trainer: error: Vertex AI: the credentials have expired (")
    assert "gcloud auth application-default login" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def sdk() -> Path:
    return vertex_sdk.python()


SETTINGS = ("--project", "p", "--hosts", "3", "--accelerator-type", "NVIDIA_TESLA_T4", "--spot",
            "--max-time", "2h", "--service-account", "me@p", "--network",
            "projects/1/global/networks/n", "--reserved-ip-ranges", "r", "--boot-disk-gb", "200",
            "--tags", "team=vision", "--env", "A=1,2", "--web-access", "--disable-retries",
            "--persistent-resource", "mine", "--kms-key",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        (),
        SETTINGS,
        ("--project", "p", "--strategy", "flex-start", "--max-wait", "60", "--network-attachment",
         "at", "--tensorboard", "1", "--service-account", "me@p"),
        ("--project", "p", "--tune", "learning-rate=0.001..0.1:log", "batch-size=32,64",
         "warmup=0..0.4:0.1", "seed=1..9", "optimizer=adam,sgd", "--spot", "--max-time", "2h"),
    ],
    ids=["plain", "all", "flex", "tuning"],
)  # fmt: skip
def test_the_sdks_code_sends_the_same_request(server, run, sdk, tmp_path, more):
    arguments = ("--", "--train", "gs://b/mnist", "--steps", "40")
    printed = run(*SUBMIT, *more, "--print", "python", *arguments)
    assert printed.returncode == 0, printed.stderr
    program = tmp_path / "submit.py"
    program.write_text(vertex_sdk.PRELUDE.format(url=server.url) + printed.stdout)
    # The SDK waits for a tuning job to end.
    server.first_state = "JOB_STATE_SUCCEEDED"
    ran = subprocess.run([sdk, program], capture_output=True, text=True, timeout=120, check=False)
    assert server.requests, ran.stderr
    run(*SUBMIT, *more, *arguments)
    (path, body), (same_path, same) = server.created
    assert path == same_path
    # As the SDK reads them: the same numbers, times and names of enums.
    read = subprocess.run(
        [sdk, "-c", READ], input=json.dumps([path, body, same]), capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    first, second = json.loads(read.stdout)
    assert first == second


READ = """
import json, sys
from google.cloud.aiplatform_v1.types import CustomJob, HyperparameterTuningJob
path, *bodies = json.load(sys.stdin)
kind = CustomJob if path.endswith("customJobs") else HyperparameterTuningJob
print(json.dumps([json.loads(kind.to_json(
    kind.from_json(json.dumps(body)), use_integers_for_enums=False,
    always_print_fields_with_no_presence=False)) for body in bodies]))
"""
