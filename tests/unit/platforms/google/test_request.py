import dataclasses

import google_discovery
import pytest
from drawn_submissions import submissions
from hypothesis import HealthCheck, given, settings, strategies as st

from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.platforms.google.options import VertexOptions
from trainer.platforms.google.request import custom_job
from trainer.platforms.submission import Submission

JOB = Submission(
    job=Job(train=("gs://b/mnist",), steps=40), given=frozenset({"train", "steps"}), name="mnist",
    image="images/trainer:cpu", output="gs://b/runs",
)  # fmt: skip
OPTIONS = VertexOptions(project="p")


def with_job(submission: Submission = JOB, **values) -> Submission:
    job = dataclasses.replace(submission.job, **values)
    return dataclasses.replace(submission, job=job, given=submission.given | {*values})


def pools(submission: Submission, options: VertexOptions = OPTIONS) -> list[dict]:
    return custom_job(submission, options).spec["workerPoolSpecs"]


def test_a_job_of_one_host_is_one_pool_with_the_arguments_of_the_user():
    request = custom_job(JOB, OPTIONS)
    assert request.body == {
        "displayName": "mnist",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": 1,
                    "containerSpec": {
                        "imageUri": "images/trainer:cpu",
                        "args": ["--steps", "40", "--train", "gs://b/mnist"],
                    },
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": "gs://b/runs/mnist"},
        },
    }


@pytest.mark.parametrize(
    ("distribution", "hosts", "servers", "evaluators", "counts"),
    [
        ("none", 1, 0, 0, [1]),
        ("mirrored", 1, 0, 0, [1]),
        ("multi_worker_mirrored", 3, 0, 0, [1, 2]),
        ("horovod", 2, 0, 0, [1, 1]),
        ("parameter_server", 3, 2, 1, [1, 2, 2, 1]),
        ("parameter_server", 3, 0, 0, [1, 2, 1]),
        ("parameter_server", 1, 1, 1, [1, 0, 1, 1]),
    ],
)
def test_each_role_has_its_pool(distribution, hosts, servers, evaluators, counts):
    job = dataclasses.replace(
        with_job(distribution=distribution), hosts=hosts, parameter_servers=servers,
        evaluators=evaluators,
    )  # fmt: skip
    assert [pool.get("replicaCount", 0) for pool in pools(job)] == counts


def test_servers_and_evaluators_have_machines_without_gpus():
    job = dataclasses.replace(with_job(distribution="parameter_server"), hosts=2, evaluators=1)
    options = dataclasses.replace(
        OPTIONS, accelerator_type="nvidia-tesla-t4", server_machine_type="n1-highmem-2"
    )
    gpu = {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    plain = {"machineType": "n1-highmem-2"}
    assert [pool["machineSpec"] for pool in pools(job, options)] == [gpu, gpu, plain, plain]


def test_the_reduction_server_takes_the_third_pool_with_its_own_image():
    job = dataclasses.replace(with_job(distribution="horovod"), hosts=2)
    options = dataclasses.replace(
        OPTIONS, reduction_servers=4, reduction_server_image="images/reductionserver"
    )
    *_, third = pools(job, options)
    assert third["replicaCount"] == 4
    assert third["containerSpec"] == {"imageUri": "images/reductionserver"}
    assert third["machineSpec"] == {"machineType": "n1-highcpu-16"}


@given(
    submission=submissions("gs://b/data"),
    options=st.builds(
        VertexOptions,
        project=st.just("p"),
        accelerator_type=st.sampled_from(["NVIDIA_TESLA_T4", "nvidia-l4"]),
        accelerator_count=st.none() | st.integers(1, 8),
        boot_disk_gb=st.none() | st.integers(100, 500),
        boot_disk_type=st.none() | st.just("pd-ssd"),
        strategy=st.just("flex-start"),
        max_wait=st.none() | st.integers(0, 10**6),
        persistent_resource=st.none() | st.just("mine"),
        restart_on_worker_restart=st.none() | st.booleans(),
        disable_retries=st.booleans(),
        service_account=st.none() | st.just("me@p"),
        network=st.just("projects/1/global/networks/net"),
        reserved_ip_ranges=st.sampled_from([(), ("a", "b")]),
        kms_key=st.none() | st.just("projects/p/locations/l/keyRings/r/cryptoKeys/k"),
        experiment=st.none() | st.just("mnist"),
        web_access=st.booleans(),
    ),
)
@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
def test_every_request_is_as_googles_description_has_it(submission, options):
    submission = dataclasses.replace(submission, tags={"team": "vision"}, max_seconds=3600)
    request = custom_job(submission, options)
    assert google_discovery.mistakes(request.body, "GoogleCloudAiplatformV1CustomJob") == []


def test_a_spot_job_that_names_all_that_vertex_ai_has():
    options = VertexOptions(
        project="p", region="europe-west4", network_attachment="at", tensorboard="123",
        service_account="me@p", kms_key="projects/p/locations/l/keyRings/r/cryptoKeys/k",
    )  # fmt: skip
    job = dataclasses.replace(JOB, spot=True, max_seconds=600, hosts=2, env={"A": "1$(B)"})
    request = custom_job(job, options)
    assert google_discovery.mistakes(request.body, "GoogleCloudAiplatformV1CustomJob") == []
    assert request.spec["scheduling"] == {
        "strategy": "SPOT", "timeout": "600s", "restartJobOnWorkerRestart": True,
    }  # fmt: skip
    assert request.spec["tensorboard"] == "projects/p/locations/europe-west4/tensorboards/123"
    assert request.spec["pscInterfaceConfig"] == {"networkAttachment": "at"}
    assert request.body["encryptionSpec"]["kmsKeyName"].endswith("/k")
    (env,) = request.spec["workerPoolSpecs"][0]["containerSpec"]["env"]
    assert env == {"name": "A", "value": "1$$(B)"}


def test_an_experiment_and_its_run_have_their_full_names():
    options = dataclasses.replace(OPTIONS, experiment="mnist", experiment_run="first")
    spec = custom_job(JOB, options).spec
    contexts = "projects/p/locations/us-central1/metadataStores/default/contexts"
    assert spec["experiment"] == f"{contexts}/mnist"
    assert spec["experimentRun"] == f"{contexts}/mnist-first"


@pytest.mark.parametrize(
    ("distribution", "restarts"), [("horovod", True), ("parameter_server", None)]
)
def test_a_job_whose_processes_need_each_other_begins_again_together(distribution, restarts):
    job = dataclasses.replace(with_job(distribution=distribution), hosts=2)
    scheduling = custom_job(job, OPTIONS).spec.get("scheduling", {})
    assert scheduling.get("restartJobOnWorkerRestart") is restarts


def test_folders_of_the_submitters_machine_give_way_to_vertex_ais_own(caplog):
    caplog.set_level("INFO")
    job = with_job(model_dir="out/model", log_dir="gs://b/logs", checkpoint_dir="/tmp/c")
    (pool,) = pools(job)
    assert "--model-dir" not in pool["containerSpec"]["args"]
    assert "--checkpoint-dir" not in pool["containerSpec"]["args"]
    assert "gs://b/logs" in pool["containerSpec"]["args"]
    assert "--model-dir out/model: a folder of this machine" in caplog.text


@pytest.mark.parametrize(
    ("output", "values", "base"),
    [
        ("gs://b/runs/", {}, "gs://b/runs/mnist"),
        (None, {"job_dir": "gs://b/job/"}, "gs://b/job"),
        (None, {"model_dir": "gs://b/x/model"}, "gs://b/x"),
        (None, {"model_dir": "gs://b"}, "gs://b"),
    ],
)
def test_the_folder_of_the_job(output, values, base):
    spec = custom_job(dataclasses.replace(with_job(**values), output=output), OPTIONS).spec
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": base}


def test_the_staging_bucket_is_where_a_job_without_output_goes():
    options = dataclasses.replace(OPTIONS, staging_bucket="gs://stage/")
    spec = custom_job(dataclasses.replace(JOB, output=None), options).spec
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://stage/mnist"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": None}, "--output: the disks of Vertex AI's machines are lost when the job "),
        ({"output": "s3://b/x"}, "--output s3://b/x: Vertex AI writes to Cloud Storage alone"),
        ({"name": "x" * 129}, "has 129 characters; Vertex AI takes 128"),
        ({"tags": {"Team": "a"}}, "--tags Team=a: Google Cloud's labels have up to 64 lowercase"),
        ({"tags": {"team": "x" * 65}}, "Google Cloud's labels have up to 64 lowercase letters"),
        ({"tags": {"1a": "a"}}, "--tags 1a=a: the name of a label begins with a letter"),
        ({"tags": {f"t{i}": "" for i in range(65)}}, "--tags: 65 labels; Google Cloud takes 64"),
        ({"env": {"A-B": "a"}}, "--env A-B: Vertex AI's variables have names of letters, digits"),
        ({"env": {"AIP_MODEL_DIR": "a"}}, "--env AIP_MODEL_DIR: Vertex AI sets this variable"),
        ({"env": {f"E{i}": "" for i in range(101)}}, "--env: 101 variables; Vertex AI takes 100"),
    ],
)
def test_what_vertex_ai_would_refuse_is_said_before(changes, message):
    with pytest.raises(UserError) as raised:
        custom_job(dataclasses.replace(JOB, **changes), OPTIONS)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_arguments_that_are_too_long_are_refused():
    job = with_job(train=tuple(f"gs://b/{i:050}" for i in range(2000)))
    with pytest.raises(UserError, match=r"arguments after --: 1\d\d,\d\d\d characters; Vertex AI"):
        custom_job(job, OPTIONS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accelerator_count": 2}, "--accelerator-count: needs --accelerator-type TYPE besides"),
        ({"reduction_servers": 2}, "--reduction-servers: needs --reduction-server-image IMAGE"),
        ({"max_wait": 0}, "--max-wait: needs --strategy flex-start besides"),
        ({"reserved_ip_ranges": ("a",)}, "--reserved-ip-ranges: needs --network NETWORK besides"),
        ({"experiment_run": "a"}, "--experiment-run: needs --experiment NAME besides"),
        ({"tensorboard": "1"}, "--tensorboard: needs --service-account EMAIL besides"),
        ({"network": "a", "network_attachment": "b"}, "--network and --network-attachment: a job"),
        ({"staging_bucket": "bucket"}, "--staging-bucket bucket: expected a bucket of Cloud"),
    ],
)
def test_settings_that_need_others(fields, message):
    with pytest.raises(UserError) as raised:
        VertexOptions(**fields)
    assert str(raised.value).startswith(message)


def test_settings_that_exclude_each_other():
    options = dataclasses.replace(OPTIONS, strategy="flex-start")
    with pytest.raises(UserError, match="--spot and --strategy flex-start: a job takes its"):
        custom_job(dataclasses.replace(JOB, spot=True), options)
    options = dataclasses.replace(OPTIONS, reduction_servers=1, reduction_server_image="r")
    with pytest.raises(UserError, match="--reduction-servers 1: the pool for them has the"):
        custom_job(with_job(distribution="parameter_server"), options)
    with pytest.raises(UserError, match="--experiment e: its full name has the project"):
        custom_job(JOB, VertexOptions(experiment="e"))
    with pytest.raises(UserError, match="--network net: Vertex AI takes full names alone"):
        custom_job(JOB, VertexOptions(network="net"))
