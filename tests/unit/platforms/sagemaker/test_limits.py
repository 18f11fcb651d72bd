"""SageMaker's limits, compared with botocore's service model; requests, validated by it."""

from __future__ import annotations

import dataclasses
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from sagemaker_jobs import ROLE, request

from trainer.config.errors import UserError
from trainer.platforms.sagemaker import limits

MODEL = botocore.session.get_session().get_service_model("sagemaker")


def mistake(*args: Any, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        request(*args, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("shape", "limit"),
    [
        ("HyperParameters", limits.HYPERPARAMETERS),
        ("HyperParameterKey", limits.HYPERPARAMETER_NAME),
        ("HyperParameterValue", limits.HYPERPARAMETER_VALUE),
        ("TrainingEnvironmentMap", limits.ENVIRONMENT),
        ("TrainingEnvironmentKey", limits.ENVIRONMENT_NAME),
        ("TrainingEnvironmentValue", limits.ENVIRONMENT_VALUE),
        ("InputDataConfig", limits.CHANNELS),
        ("TagList", limits.TAGS),
        ("TagKey", limits.TAG_NAME),
        ("TagValue", limits.TAG_VALUE),
        ("MetricDefinitionList", limits.METRICS),
        ("MetricRegex", limits.METRIC_REGEX),
        ("Subnets", limits.SUBNETS),
        ("VpcSecurityGroupIds", limits.SECURITY_GROUPS),
        ("AlgorithmImage", limits.IMAGE),
        ("S3Uri", limits.URI),
        ("TrainingJobName", limits.JOB_NAME),
        ("HyperParameterTuningJobName", limits.TUNING_NAME),
        ("KeepAlivePeriodInSeconds", limits.KEEP_ALIVE),
        ("MaximumRetryAttempts", limits.ATTEMPTS),
        ("InstanceGroups", limits.GROUPS),
        ("KmsKeyId", limits.KMS_KEY),
        ("ExperimentEntityName", limits.EXPERIMENT),
    ],
)
def test_limits_are_those_of_the_service(shape, limit):
    assert MODEL.shape_for(shape).metadata["max"] == limit


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        ("RoleArn", limits.ROLE_ARN_PATTERN),
        ("TrainingEnvironmentKey", limits.ENVIRONMENT_PATTERN),
        ("KmsKeyId", limits.KMS_PATTERN),
    ],
)
def test_patterns_are_those_of_the_service(shape, pattern):
    assert MODEL.shape_for(shape).metadata["pattern"] == pattern


EVERYTHING: dict[str, Any] = {
    "region": "eu-central-1", "instance_type": "ml.g5.xlarge", "volume_size": 100, "spot": True,
    "input_mode": "FastFile", "max_seconds": 3600, "max_wait": 7200, "attempts": 3,
    "tags": {"team": "vision", "cost": "a b"}, "env": {"LEVEL": "1", "EMPTY": ""},
    "subnets": ("subnet-1",), "security_groups": ("sg-1", "sg-2"),
    "network_isolation": True, "encrypt_traffic": True,
    "volume_kms_key": "alias/volumes", "output_kms_key": "alias/outputs", "experiment": "digits",
}  # fmt: skip
FLAGS: dict[str, Any] = {
    "train": ("s3://bucket/train/",), "test": ("s3://bucket/test/",), "shard_by": "host",
    "log_dir": "runs/logs", "learning_rate": 0.1, "steps": 10, "checkpoint_every": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {}, EVERYTHING, {"keep_alive": 600},
        {"instance_groups": ("a=ml.g5.xlarge:1", "b=ml.m5.xlarge:2")},
    ],
)  # fmt: skip
@pytest.mark.parametrize("flags", [{}, FLAGS])
def test_the_service_model_accepts_every_request(options, flags):
    body = request(flags, hosts=1 if "instance_groups" in options else 2, **options).body()
    shape = MODEL.operation_model("CreateTrainingJob").input_shape
    assert ParamValidator().validate(body, shape).generate_report() == ""


def test_a_request_says_all_that_was_asked_for():
    body = request(FLAGS, hosts=2, **EVERYTHING).body()
    metrics = body["AlgorithmSpecification"].pop("MetricDefinitions")
    assert {"loss", "test_accuracy", "validation_accuracy"} < {each["Name"] for each in metrics}
    assert all(len(each["Regex"]) <= limits.METRIC_REGEX for each in metrics)
    assert body == {
        "TrainingJobName": "job-1",
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "FastFile"},
        "RoleArn": ROLE,
        "HyperParameters": {
            "learning_rate": "0.1", "steps": "10", "checkpoint_every": "5", "shard_by": "host",
            "log_dir": "/opt/ml/output/tensorboard",
        },
        "InputDataConfig": [
            channel("train", "s3://bucket/train/", "ShardedByS3Key"),
            channel("test", "s3://bucket/test/", "FullyReplicated"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "KmsKeyId": "alias/outputs"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 100,
            "VolumeKmsKeyId": "alias/volumes",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
        "CheckpointConfig": {
            "S3Uri": "s3://bucket/out/job-1/checkpoints/", "LocalPath": "/opt/ml/checkpoints",
        },
        "TensorBoardOutputConfig": {
            "S3OutputPath": "s3://bucket/out/job-1/tensorboard",
            "LocalPath": "/opt/ml/output/tensorboard",
        },
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1", "sg-2"]},
        "Environment": {"LEVEL": "1", "EMPTY": ""},
        "RetryStrategy": {"MaximumRetryAttempts": 3},
        "ExperimentConfig": {"ExperimentName": "digits"},
        "EnableManagedSpotTraining": True,
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "Tags": [
            {"Key": "created-by", "Value": "trainer"}, {"Key": "team", "Value": "vision"},
            {"Key": "cost", "Value": "a b"},
        ],
    }  # fmt: skip


def channel(name: str, uri: str, distribution: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {
        "ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "FastFile",
        "ContentType": "application/octet-stream",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "uris", "inside"),
    [
        (("s3://b/x",), ["s3://b/x/"], None),
        (("s3://b",), ["s3://b/"], None),
        (("s3://b/mnist.v2",), ["s3://b/mnist.v2/"], None),
        (("s3://b/x.csv.gz",), ["s3://b/x.csv.gz"], None),
        (("s3://b/o/data/0123456789abcdef/a.raw",), ["s3://b/o/data/0123456789abcdef/"],
         '["/opt/ml/input/data/train/a.raw"]'),
        (("s3://b/x/*.tfrecords",), ["s3://b/x/"], '["/opt/ml/input/data/train/*.tfrecords"]'),
        (("s3://b/x/[ab]/*.csv", "s3://b/x/c.csv"), ["s3://b/x/", "s3://b/x/c.csv"],
         '["/opt/ml/input/data/train/[ab]/*.csv", "/opt/ml/input/data/train-2"]'),
        (("s3://b/x/train-images-idx3-ubyte",), ["s3://b/x/"],
         '["/opt/ml/input/data/train/train-images-idx3-ubyte"]'),
        (("s3://b/x/a*", "s3://b/x/b*"), ["s3://b/x/"],
         '["/opt/ml/input/data/train/a*", "/opt/ml/input/data/train/b*"]'),
        (("gs://b/x",), [], '["gs://b/x"]'),
    ],
)  # fmt: skip
def test_globs_and_several_paths_are_found_below_their_channels(paths, uris, inside):
    found = request({"train": paths})
    assert [each.uri for each in found.channels] == uris
    assert found.hyperparameters.get("train") == inside


def test_files_of_ones_own_come_by_a_channel_of_their_own():
    found = request({"module": "s3://b/code/mine.py", "classes": "s3://b/other/names.txt"})
    assert [(c.name, c.uri) for c in found.channels] == [
        ("code", "s3://b/code/"), ("code-classes", "s3://b/other/"),
    ]  # fmt: skip
    uploaded = request({"module": "s3://b/out/code/0123456789abcdef/package/mine.py"})
    assert uploaded.channels[0].uri == "s3://b/out/code/0123456789abcdef/"
    assert uploaded.hyperparameters["module"] == "/opt/ml/input/data/code/package/mine.py"
    assert found.hyperparameters["classes"] == "/opt/ml/input/data/code-classes/names.txt"


def test_folders_of_the_laptop_become_those_that_sagemaker_collects():
    here = {"model_dir": "m", "output_dir": "o", "job_dir": "j", "checkpoint_dir": "c"}
    found = request(here)
    assert found.hyperparameters == {"log_dir": "/opt/ml/output/tensorboard"}
    assert found.checkpoints == "s3://bucket/out/job-1/checkpoints/"
    kept = request({"checkpoint_dir": "s3://b/kept"})
    assert kept.checkpoints == "s3://b/kept/"
    assert request(spot=True).checkpoints == "s3://bucket/out/job-1/checkpoints/"
    assert request().checkpoints is None


@pytest.mark.parametrize(
    ("flags", "options", "text"),
    [
        ({"mlflow_uri": "x" * 2501}, {}, "--mlflow-uri: SageMaker takes up to 2500 characters"),
        ({"train": ("data/mnist",)}, {}, "--train data/mnist: is a path of this machine; give"),
        ({"module": __file__}, {}, "test_limits.py: is a path of this machine; give --output"),
        ({"classes": __file__}, {}, "test_limits.py: is a path of this machine; give --output"),
        ({"test": ("s3://b/x",)}, {}, "--test: SageMaker gets data to evaluate on, but none"),
        ({"train": tuple(f"s3://b/{n}" for n in range(21))}, {}, "channels of data: SageMaker "
         "takes up to 20, found 21"),
        ({"layout": "tar"}, {}, "--layout tar: SageMaker packs the model folder itself; leave it"),
        ({}, {"output": "gs://b"}, "--output: expected s3://BUCKET/FOLDER"),
        ({}, {"name": "a" * 64}, "expected up to 63 letters, digits and hyphens"),
        ({}, {"name": "-a"}, "--name -a: expected up to 63 letters"),
        ({}, {"name": "a_b"}, "--name a_b: expected up to 63 letters"),
        ({}, {"image": "x" * 256}, "--image: SageMaker takes up to 255 characters, found 256"),
        ({}, {"subnets": ("a",)}, "--subnets: a VPC needs both; give --security-groups too"),
        ({}, {"security_groups": ("a",)}, "--security-groups: a VPC needs both; give --subnets"),
        ({}, {"spot": True, "keep_alive": 5}, "--spot and --keep-alive: SageMaker keeps no spare"),
        ({}, {"max_wait": 5}, "--max-wait 5: is for --spot alone"),
        ({}, {"spot": True, "max_wait": 5}, "--max-wait 5: expected the seconds of --max-time"),
        ({}, {"tags": {str(n): "" for n in range(50)}}, "--tags: SageMaker takes up to 49"),
        ({}, {"env": {"1A": "b"}}, "--env 1A: expected letters, digits and underscores"),
        ({}, {"env": {"A": "b" * 513}}, "--env A: SageMaker takes up to 512 characters"),
        ({}, {"env": {"A": "\udc80"}}, "--env A: expected text, found bytes that are none"),
        ({}, {"volume_kms_key": "a b"}, "--volume-kms-key: expected a key's id, ARN or alias"),
        ({}, {"instance_groups": ("a=b",)}, "--instance-groups a=b: expected NAME=TYPE:COUNT"),
        ({}, {"instance_groups": ("a=ml.m5.large:2",), "hosts": 3}, "--hosts 3: --instance-groups "
         "has 2; leave it out"),
        ({"distribution": "mirrored"}, {"instance_groups": ("a=ml.m5.large:2",)},
         "--instance-groups: --distribution mirrored trains on one host"),
        ({}, {"experiment": "a b"}, "--experiment a b: expected up to 120 letters"),
        ({}, {"evaluators": 1}, "--evaluators 1: SageMaker's hosts are all alike"),
        ({}, {"parameter_servers": 2}, "--parameter-servers 2: SageMaker's hosts are all alike"),
    ],
)  # fmt: skip
def test_what_sagemaker_does_not_take_is_one_line(flags, options, text):
    assert text in mistake(flags, **options)


def test_a_value_in_an_error_is_not_shown_where_it_may_be_a_secret():
    assert "hunter2" not in mistake(env={"PASSWORD": "hunter2" * 100})


def test_a_request_can_be_made_with_other_names():
    first = request()
    assert dataclasses.replace(first, name="other").body()["TrainingJobName"] == "other"
