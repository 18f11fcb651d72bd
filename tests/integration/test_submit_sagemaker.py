"""`trainer submit --to sagemaker` and `trainer jobs --on sagemaker`, against moto's services."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aws_server import REGION, AwsServer, aws_server, client, make_role
from containers import missing
from processes import TRAINER, trainer

pytest.importorskip("moto.server")
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/trainer:gpu"
NOW = int(time.time() * 1000) - 60_000
MANIFEST = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "x", "size": 1, "digest": "sha256:1"}, "layers": [],
})  # fmt: skip
SUBMIT = (
    "submit", "--to", "sagemaker", "--role", "Trains", "--output", "s3://bucket/out",
    "--image", IMAGE,
)  # fmt: skip
GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def aws() -> Iterator[AwsServer]:
    """An account with a role, a bucket and an image."""
    with aws_server() as server:
        make_role(server)
        location = {"LocationConstraint": REGION}
        client(server, "s3").create_bucket(Bucket="bucket", CreateBucketConfiguration=location)
        ecr = client(server, "ecr")
        ecr.create_repository(repositoryName="trainer")
        ecr.put_image(repositoryName="trainer", imageManifest=MANIFEST, imageTag="gpu")
        server.calls.clear()
        yield server


def run(aws: AwsServer, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return trainer(*words, env={**aws.environment, **env})


def submit(
    aws: AwsServer, *words: str, job: tuple[str, ...] = (), **more: Any
) -> subprocess.CompletedProcess[str]:
    return run(aws, *SUBMIT, *words, *(("--", *job) if job else ()), **more)


def mistake(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 2, ran.stderr
    (line,) = [each for each in ran.stderr.splitlines() if each.startswith("trainer: ")]
    assert "Traceback" not in ran.stderr
    return line


# What is sent


def test_the_request_that_is_printed_is_the_one_that_is_sent(aws, tmp_path):
    words = ("--name", "job-1", "--hosts", "2", "--spot", "--region", REGION)
    job = ("--train", "s3://bucket/data/", "--learning-rate", "0.01", "--distribution", "horovod")
    printed = submit(aws, *words, "--print", job=job)
    assert printed.returncode == 0, printed.stderr
    assert aws.calls == []
    sent = submit(aws, *words, job=job)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout == "job-1\n"
    (request,) = aws.made("CreateTrainingJob")
    wanted = json.loads(printed.stdout)
    assert wanted["RoleArn"] == "Trains"
    assert request == {**wanted, "RoleArn": "arn:aws:iam::123456789012:role/service-role/Trains"}
    follow = f"trainer jobs logs job-1 --on sagemaker --region {REGION} --follow"
    assert f"follow: {follow}" in sent.stderr
    assert f"{REGION}#/jobs/job-1" in sent.stderr


def test_the_command_that_is_printed_has_the_flags_of_the_aws_cli(aws):
    from botocore import xform_name
    from botocore.session import get_session

    ran = submit(aws, "--spot", "--print", "cli", job=("--train", "s3://bucket/it's"))
    words = shlex.split(ran.stdout.replace("\\\n", " "))
    assert words[:3] == ["aws", "sagemaker", "create-training-job"]
    model = get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob")
    known = {f"--{xform_name(name, '-')}" for name in model.input_shape.members}
    flags = [word.replace("--no-", "--") for word in words if word.startswith("--")]
    assert {*flags} <= known | {"--region"}
    request = json.loads(
        submit(aws, "--spot", "--print", job=("--train", "s3://bucket/it's")).stdout
    )
    assert len(flags) == len(request) + 1
    data = json.loads(words[words.index("--input-data-config") + 1])
    assert data == request["InputDataConfig"]


def test_nothing_is_asked_of_the_network_to_print(tmp_path):
    alone = ("unshare", "--net", "--")
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        missing("needs the right to make a network namespace")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1,2\n")
    for form in ("request", "cli", "python", "python-v3"):
        argv = [*TRAINER, "submit", "--to", "sagemaker", "--output", "s3://bucket/out", "--image",
                IMAGE, "--print", form, "--volume-kms-key", "alias/v", "--region", REGION,
                "--", "--train", str(tmp_path / "data")]  # fmt: skip
        ran = subprocess.run(
            [*alone, *argv], env={"PATH": "/usr/bin:/bin", "HOME": ""}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert "s3://bucket/out/data/" in ran.stdout
        # Nothing of it is taken for a secret.
        assert "***" not in ran.stdout
        assert "would be sent to s3://bucket/out/data/" in ran.stderr


def test_local_data_and_a_module_are_uploaded_first(aws, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("1,2\n")
    module = tmp_path / "mine.py"
    module.write_text("X = 1\n")
    ran = submit(aws, "--name", "job-1", job=("--train", str(data), "--module", str(module)))
    assert ran.returncode == 0, ran.stderr
    (request,) = aws.made("CreateTrainingJob")
    uris = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in request["InputDataConfig"]
    }
    stored = client(aws, "s3").list_objects_v2(Bucket="bucket")["Contents"]
    urls = {f"s3://bucket/{each['Key']}" for each in stored}
    assert urls == {f"{uris['train'].rstrip('/')}/a.csv", f"{uris['code']}mine.py"}
    assert request["HyperParameters"] == {"module": "/opt/ml/input/data/code/mine.py"}


def test_a_profile_counts_for_uploads_and_what_is_fetched_too(aws, tmp_path):
    (tmp_path / "config").write_text(
        f"[profile team]\nregion = {REGION}\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1,2\n")
    kept = ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_DISABLED", "AWS_SHARED_CREDENTIALS_FILE")
    env = {name: aws.environment[name] for name in kept}
    env["AWS_CONFIG_FILE"] = str(tmp_path / "config")
    job = ("--train", str(tmp_path / "data"))
    ran = trainer(*SUBMIT, "--name", "job-1", "--profile", "team", "--", *job, env=env)
    assert ran.returncode == 0, ran.stderr
    model = packed("1/x", b"m")
    client(aws, "s3").put_object(Bucket="bucket", Key="out/job-1/output/model.tar.gz", Body=model)
    words = ("jobs", "fetch", "job-1", "--on", "sagemaker", "--profile", "team")
    ran = trainer(*words, "--out", str(tmp_path / "home"), env=env)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "home/model/1/x").read_bytes() == b"m"
    again = run(aws, "jobs", "fetch", "job-1", "--on", "sagemaker", "--out", str(tmp_path / "home"))
    assert again.returncode == 0, again.stderr
    assert f"{tmp_path}/home/model is there already" in again.stderr
    assert not (tmp_path / "home/.fetching").exists()


def test_a_search_is_a_tuning_job(aws):
    ran = submit(
        aws, "--tune", "learning-rate=0.001..0.1:log", "batch-size=32,64", "--trials", "6",
        "--parallel", "3", "--name", "search-1",
        job=("--train", "s3://bucket/a", "--metric", "loss:min", "--validation", "s3://bucket/b"),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (request,) = aws.made("CreateHyperParameterTuningJob")
    config = request["HyperParameterTuningJobConfig"]
    assert config["HyperParameterTuningJobObjective"] == {
        "Type": "Minimize", "MetricName": "validation_loss",
    }  # fmt: skip
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 3,
    }  # fmt: skip
    ranges = config["ParameterRanges"]
    assert [each["Name"] for each in ranges["ContinuousParameterRanges"]] == ["learning_rate"]
    definition = request["TrainingJobDefinition"]
    names = {each["Name"] for each in definition["AlgorithmSpecification"]["MetricDefinitions"]}
    assert "validation_loss" in names
    assert definition["StaticHyperParameters"] == {"metric": "loss:min"}
    listed = run(aws, "jobs", "list", "--on", "sagemaker")
    assert listed.returncode == 0, listed.stderr


# What is wrong


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--role", "Nobody"), "--role Nobody: there is no such role in this account"),
        (("--role", "arn:aws:iam::1:x"), "--role arn:aws:iam::1:x: expected the ARN of a role"),
        (("--output", "s3://none/x"), "--output s3://none: there is no such bucket; make it: aws"),
        (("--image", "trainer:cpu"), "--image trainer:cpu: SageMaker pulls images from Amazon's"),
        (("--image", IMAGE.replace("gpu", "no")), ": there is no such image in that repository"),
        (("--image", IMAGE.replace("trainer", "no")), ": there is no such repository; push it"),
        (("--region", "us-west-2"), "the bucket is in eu-central-1, the job in us-west-2"),
        (("--image", IMAGE.replace(REGION, "us-east-1")), "the image is in us-east-1, the job in"),
        (("--instance-type", "ml.m5.xlarge", "--subnets", "subnet-1"), "a VPC needs both"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_line_before_anything_is_started(aws, words, text):
    assert text in mistake(submit(aws, *words))
    assert aws.made("CreateTrainingJob") == []


def test_no_data_is_sent_for_a_job_that_cannot_be_started(aws, tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    ran = submit(aws, "--role", "Nobody", job=("--train", str(tmp_path)))
    assert "there is no such role" in mistake(ran)
    assert "Contents" not in client(aws, "s3").list_objects_v2(Bucket="bucket")


@pytest.mark.parametrize(
    ("code", "message", "text"),
    [
        ("ResourceInUse", "Training job names must be unique",
         "--name job-1: SageMaker has a job of that name already; give another name"),
        ("ResourceLimitExceeded", "The account-level service limit is 0 instances",
         f"--instance-type ml.m5.xlarge: the account's quota is used up (The account-level "
         f"service limit is 0 instances); ask for more in Service Quotas of {REGION}"),
        ("ValidationException", "1 validation error detected: Value 'ml.m5.xlarg' at "
         "'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum "
         "value set: [ml.p2.xlarge, ml.m5.4xlarge]",
         "--instance-type ml.m5.xlarge: SageMaker has no such instances"),
        ("ValidationException", "the instance type is not available in this region",
         "--instance-type: the instance type is not available"),
        ("ValidationException", "Could not assume role arn:aws:iam::1:role/x", "--role: Could not"),
        ("AccessDeniedException", "not authorized to perform: sagemaker:CreateTrainingJob",
         "job-1: access is denied (not authorized"),
        ("ExpiredTokenException", "The security token included in the request is expired",
         "the credentials have expired"),
    ],
)  # fmt: skip
def test_what_sagemaker_refuses_is_one_line_about_the_flag(aws, code, message, text):
    aws.fail("CreateTrainingJob", code, message)
    assert text in mistake(submit(aws, "--name", "job-1"))


def test_a_service_that_is_busy_is_asked_again_and_then_one_line(aws):
    aws.fail("CreateTrainingJob", "ThrottlingException", "Rate exceeded")
    ran = submit(aws, "--name", "job-1")
    assert ran.returncode == 200, ran.stderr
    assert len(aws.made("CreateTrainingJob")) > 1
    assert "Rate exceeded; nothing was started: run the same command again" in ran.stderr


def test_a_job_whose_first_answer_was_lost_is_no_name_that_is_taken(aws):
    answers = [(500, {"__type": "InternalFailure", "message": "lost"}), None]
    aws.replies["CreateTrainingJob"] = lambda _: answers.pop(0) if answers else TAKEN
    assert submit(aws, "--name", "job-1").stdout == "job-1\n"
    answers = [(500, {"__type": "InternalFailure", "message": "lost"})]
    ran = submit(aws, "--name", "job-1")
    assert (ran.returncode, ran.stdout) == (0, "job-1\n"), ran.stderr
    assert "a job of that name already" in mistake(submit(aws, "--name", "job-1"))


TAKEN = (400, {"__type": "ResourceInUse", "message": "Training job names must be unique"})


def test_without_credentials_or_a_region_it_says_so(aws):
    ran = submit(aws, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "there are no AWS credentials; sign in with aws configure" in mistake(ran)
    ran = submit(aws, AWS_DEFAULT_REGION="", AWS_REGION="")
    assert "--region: neither the flag, AWS_REGION nor the profile names" in mistake(ran)
    ran = submit(aws, "--profile", "nobody")
    assert "--profile: The config profile (nobody) could not be found" in mistake(ran)


@pytest.mark.parametrize("verb", ["logs", "stop", "fetch"])
def test_a_name_that_is_no_job_is_one_line(aws, verb):
    ran = run(aws, "jobs", verb, "nobody", "--on", "sagemaker")
    assert f"nobody: SageMaker has no such job in {REGION}; see trainer jobs list" in mistake(ran)


# What becomes of a job


def test_a_job_is_listed_stopped_and_fetched(aws, tmp_path):
    assert submit(aws, "--name", "job-1").returncode == 0
    assert submit(aws, "--name", "job-2", "--instance-type", "ml.g5.xlarge").returncode == 0
    listed = run(aws, "jobs", "list", "--on", "sagemaker").stdout.splitlines()
    assert {line.split()[0] for line in listed} == {"job-1", "job-2"}
    assert any("1 ml.g5.xlarge" in line for line in listed)
    store = client(aws, "s3")
    store.put_object(Bucket="bucket", Key="out/job-1/output/model.tar.gz", Body=packed("1/x", b"m"))
    report = packed("metrics.json", b"{}")
    store.put_object(Bucket="bucket", Key="out/job-1/output/output.tar.gz", Body=report)
    ran = run(aws, "jobs", "fetch", "job-1", "--on", "sagemaker", "--out", str(tmp_path / "home"))
    assert ran.returncode == 0, ran.stderr
    files = {str(f.relative_to(tmp_path / "home")) for f in (tmp_path / "home").rglob("*.*")}
    assert "output/metrics.json" in files
    assert (tmp_path / "home/model/1/x").read_bytes() == b"m"


def test_jobs_are_listed_by_name_where_nobody_may_search_by_tags(aws):
    assert submit(aws, "--name", "trainer-1").returncode == 0
    assert submit(aws, "--name", "of-another").returncode == 0
    aws.fail("Search", "AccessDeniedException", "not authorized to perform: sagemaker:Search")
    ran = run(aws, "jobs", "list", "--on", "sagemaker")
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [["trainer-1", "completed"]]


def packed(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def test_stop_asks_a_running_job_to_stop(aws):
    running = {**ENDED, "TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    aws.replies["DescribeTrainingJob"] = lambda _: (200, running)
    aws.replies["StopTrainingJob"] = lambda _: (200, {})
    ran = run(aws, "jobs", "stop", "job-1", "--on", "sagemaker")
    assert ran.returncode == 0, ran.stderr
    assert aws.made("StopTrainingJob") == [{"TrainingJobName": "job-1"}]


ENDED: dict[str, Any] = {
    "TrainingJobName": "job-1", "TrainingJobArn": "arn", "TrainingJobStatus": "Failed",
    "SecondaryStatus": "Failed", "CreationTime": 1.0, "ResourceConfig": {"InstanceCount": 2},
    "FailureReason": "AlgorithmError: --train: nothing is there, exit code: 2",
    "ModelArtifacts": {"S3ModelArtifacts": ""}, "StoppingCondition": {},
    "SecondaryStatusTransitions": [
        {"Status": "Interrupted", "StartTime": 1.0},
        {"Status": "Failed", "StartTime": 2.0, "StatusMessage": "Training job failed"},
    ],
}  # fmt: skip


def write_lines(aws: AwsServer, stream: str, lines: list[tuple[int, str]]) -> None:
    logs = client(aws, "logs")
    if not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
        logs.create_log_group(logGroupName=GROUP)
    names = [
        s["logStreamName"] for s in logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    ]
    if stream not in names:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    for start in range(0, len(lines), 5000):
        logs.put_log_events(
            logGroupName=GROUP, logStreamName=stream,
            logEvents=[
                {"timestamp": NOW + at, "message": text} for at, text in lines[start : start + 5000]
            ],
        )  # fmt: skip


def test_a_failed_job_is_followed_to_its_lines_reason_and_exit_code(aws):
    write_lines(aws, "job-1/algo-1-1", [(1, "a"), (3, "c")])
    write_lines(aws, "job-1/algo-2-1", [(2, "b"), (4, "d")])
    write_lines(aws, "job-10/algo-1-1", [(1, "of another job")])
    aws.replies["DescribeTrainingJob"] = lambda _: (200, ENDED)
    ran = run(aws, "jobs", "logs", "job-1", "--on", "sagemaker", "--follow")
    assert ran.returncode == 2
    assert ran.stdout.splitlines() == ["[algo-1] a", "[algo-2] b", "[algo-1] c", "[algo-2] d"]
    assert "trainer: job job-1 failed: AlgorithmError: --train: nothing is there" in ran.stderr
    assert "interrupted once" in ran.stderr


def test_every_line_of_many_pages_comes_once(aws, monkeypatch):
    from trainer.backends.sagemaker.service import SageMakerService
    from trainer.clouds.aws import AwsSettings

    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    written = [(n // 100, f"line {n}") for n in range(12_000)]
    write_lines(aws, "job-1/algo-1-1", written)
    running = {**ENDED, "ResourceConfig": {"InstanceCount": 1}}
    aws.replies["DescribeTrainingJob"] = lambda _: (200, running)
    service = SageMakerService(AwsSettings(region=REGION, endpoint=aws.url))
    reader = service.logs("job-1")
    assert [line.text for line in reader.read()] == [text for _, text in written]
    assert reader.read() == []
    write_lines(aws, "job-1/algo-1-1", [(200, "later")])
    write_lines(aws, "job-1/algo-1-2", [(300, "after an interruption")])
    found = reader.read()
    assert [line.text for line in found] == ["later", "after an interruption"]
    assert {line.host for line in found} == {""}
    assert reader.read() == []
