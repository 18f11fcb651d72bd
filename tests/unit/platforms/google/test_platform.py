import json
from pathlib import Path

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.config.trial import DEFAULT_FILE, DEFAULT_TAG, Trial
from trainer.platforms.base import Environment
from trainer.platforms.google import platform as google
from trainer.platforms.resolve import ResolvedJob, resolve_job

VERTEX = {
    "AIP_MODEL_DIR": "gs://out/job/model/",
    "AIP_CHECKPOINT_DIR": "gs://out/job/checkpoints/",
    "AIP_TENSORBOARD_LOG_DIR": "gs://out/job/logs/",
    "AIP_TRAINING_DATA_URI": "gs://data/set/training-*",
    "AIP_VALIDATION_DATA_URI": "gs://data/set/validation-*",
    "AIP_TEST_DATA_URI": "gs://data/set/test-*",
    "CLOUD_ML_PROJECT_ID": "1234",
}


def resolved(env: dict[str, str], *argv: str, root: Path = Path("/nowhere")) -> ResolvedJob:
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    return resolve_job(Environment(env=env, argv=argv, root=root), vars(parser.parse_args(argv)))


@pytest.fixture
def mounts(tmp_path):
    """A root in which Vertex has mounted the bucket `out`, but not `data`."""
    (tmp_path / "gcs/out").mkdir(parents=True)
    return tmp_path


def test_vertex_folders_and_data_reach_the_job():
    job = resolved(VERTEX).job
    assert job.platform == "ai-platform"
    assert job.train == ("gs://data/set/training-*",)
    assert job.test == ("gs://data/set/test-*",)
    assert job.model_dir == "gs://out/job/model"
    assert job.checkpoint_dir == "gs://out/job/checkpoints"
    assert job.log_dir == "gs://out/job/logs"


def test_on_googles_own_services_lines_are_json_unless_a_flag_says_otherwise():
    service = resolved(VERTEX)
    assert (service.job.log_format, service.sources["log_format"]) == (
        "json",
        "CLOUD_ML_PROJECT_ID",
    )
    assert resolved({"CLOUD_ML_JOB_ID": "1"}).sources["log_format"] == "CLOUD_ML_JOB_ID"
    assert resolved(VERTEX, "--log-format", "text").job.log_format == "text"
    assert resolved({"AIP_MODEL_DIR": "gs://out/model/"}).job.log_format is None


def test_the_model_is_flat_where_vertex_registers_it_and_the_report_beside_it():
    job = resolved(VERTEX).job
    assert (job.layout, job.output_dir) == ("flat", "gs://out/job")


def test_a_model_folder_of_another_name_has_its_report_where_it_is_by_default():
    assert resolved({"AIP_MODEL_DIR": "gs://out/other/"}).job.output_dir is None


def test_a_model_folder_of_ones_own_is_laid_out_as_everywhere():
    job = resolved(VERTEX, "--model-dir", "gs://mine/m").job
    assert (job.model_dir, job.layout, job.output_dir) == ("gs://mine/m", "version", None)


def test_all_three_splits_of_a_managed_data_set_are_used_for_what_they_are():
    job = resolved(VERTEX).job
    assert job.validation == ("gs://data/set/validation-*",)
    assert job.test == ("gs://data/set/test-*",)
    env = {k: v for k, v in VERTEX.items() if k != "AIP_TEST_DATA_URI"}
    assert resolved(env).job.test == ()


def test_variables_that_the_job_does_not_use_are_named_in_the_log():
    found = resolved(
        {
            "AIP_TRAINING_DATA_URI": "gs://b/train-*",
            "AIP_TEST_DATA_URI": "gs://b/test-*",
            "AIP_TENSORBOARD_RESOURCE_NAME": "projects/1",
            "AIP_MODEL_DIR": "gs://b/model",
            "CLOUD_ML_JOB": '{"args": []}',
        },
        "--model-dir",
        "gs://b/mine",
    )
    assert found.notes == (
        "AIP_MODEL_DIR=gs://b/model: not used, as --model-dir is there",
        "AIP_TENSORBOARD_RESOURCE_NAME=projects/1: not used",
        "CLOUD_ML_JOB: not used",
    )


POOLS = {"workerpool0": ["a:2222"], "workerpool1": ["b:2222"], "workerpool2": ["r:2222", "s:2222"]}


@pytest.mark.parametrize("how", ["horovod", "multi_worker_mirrored"])
def test_reduction_servers_are_not_refused(how):
    spec = {"cluster": POOLS, "task": {"type": "workerpool1", "index": 0}}
    found = resolved({"CLUSTER_SPEC": json.dumps(spec)}, "--distribution", how)
    assert (found.job.cluster.ps, len(found.job.cluster.trainers)) == ((), 2)
    assert "workerpool2: 2 taken for Vertex AI's Reduction Server" in found.notes[0]


def test_reduction_servers_of_vertex_may_be_in_tf_config_alone():
    spec = {"cluster": {"chief": ["a:1"], "ps": ["r:1"]}, "task": {"type": "chief", "index": 0}}
    env = {"TF_CONFIG": json.dumps(spec), "CLOUD_ML_PROJECT_ID": "p"}
    assert resolved(env, "--distribution", "horovod").job.cluster.ps == ()


def test_parameter_servers_of_another_scheduler_are_kept():
    spec = {"cluster": {"chief": ["a:1"], "ps": ["p:1"]}, "task": {"type": "chief", "index": 0}}
    found = resolved({"TF_CONFIG": json.dumps(spec)}, "--distribution", "horovod")
    assert found.job.cluster.ps == ("p:1",)


def test_folders_go_through_the_mount_of_their_bucket_where_there_is_one(mounts):
    job = resolved(VERTEX, root=mounts).job
    assert job.model_dir == str(mounts / "gcs/out/job/model")
    assert job.output_dir == str(mounts / "gcs/out/job")
    assert job.train == ("gs://data/set/training-*",)


def test_flags_go_through_mounts_too_and_wildcards_stay(mounts):
    job = resolved(VERTEX, "--train", "gs://out/a-*", "s3://b/x", "here", root=mounts).job
    assert job.train == (str(mounts / "gcs/out/a-*"), "s3://b/x", "here")


def test_a_module_that_submit_has_uploaded_is_read_through_the_mount(mounts):
    uploaded = (
        "--module",
        "gs://out/code/1a2b/net.py",
        "--classes",
        "gs://out/data/3c/classes.txt",
    )
    job = resolved(VERTEX, *uploaded, root=mounts).job
    assert job.module == str(mounts / "gcs/out/code/1a2b/net.py")
    assert job.classes == str(mounts / "gcs/out/data/3c/classes.txt")


def test_another_platforms_buckets_are_not_looked_for(mounts):
    assert resolved({}, "--train", "gs://out/a", root=mounts).job.train == ("gs://out/a",)


@pytest.mark.parametrize("form", ["jsonl", "csv", "bigquery"])
def test_a_format_that_the_models_cannot_read_is_reported_at_once(form):
    with pytest.raises(UserError, match=rf"^AIP_DATA_FORMAT={form}: expected AIP_TRAINING_DATA_U"):
        resolved(VERTEX | {"AIP_DATA_FORMAT": form})


def test_a_bigquery_address_needs_no_format_to_be_refused():
    with pytest.raises(UserError, match="AIP_DATA_FORMAT=bigquery"):
        resolved({"AIP_TRAINING_DATA_URI": "bq://project.set.training"})


def test_the_format_does_not_matter_where_the_data_is_named():
    env = VERTEX | {"AIP_DATA_FORMAT": "csv"}
    found = resolved(env, "--train", "a", "--test", "b")
    assert (found.job.train, found.job.validation) == (("a",), ())
    assert any(note.startswith("AIP_VALIDATION_DATA_URI=") for note in found.notes)


def test_a_module_of_ones_own_may_read_any_format():
    env = VERTEX | {"AIP_DATA_FORMAT": "csv"}
    assert resolved(env, "--module", "my.model").job.train == ("gs://data/set/training-*",)
    with pytest.raises(UserError, match="AIP_DATA_FORMAT"):
        resolved(env, "--module", "trainer.model")


@pytest.mark.parametrize(
    "argv",
    [
        ["--job-dir", "gs://b/run"],
        ["--job_dir", "gs://b/run"],
        ["--job-dir=gs://b/run"],
        ["--job_dir=gs://b/run/"],
    ],
)
def test_job_dir_is_the_folder_of_all_that_is_written(argv):
    found = resolved({}, *argv)
    assert found.platform == "ai-platform"
    assert "is a folder of Cloud Storage" in found.because
    assert found.job.model_dir == "gs://b/run/model"
    assert found.job.checkpoint_dir == "gs://b/run/checkpoints"
    assert found.job.log_dir == "gs://b/run/logs"
    assert found.job.output_dir == "gs://b/run"
    assert found.job.layout == "version"
    assert found.sources["model_dir"] == "--job-dir"


def test_a_folder_named_itself_is_not_in_the_job_dir():
    job = resolved({}, "--job-dir", "gs://b/run", "--log-dir", "here").job
    assert (job.log_dir, job.model_dir) == ("here", "gs://b/run/model")


def test_job_dir_as_a_flag_is_stronger_than_vertex_folders():
    job = resolved(VERTEX, "--job-dir", "gs://mine/run").job
    assert (job.model_dir, job.layout) == ("gs://mine/run/model", "version")


def test_a_local_job_dir_does_not_make_a_machine_ai_platform():
    found = resolved({}, "--job-dir", "runs/1")
    assert found.platform == "local"
    assert found.job.model_dir == "runs/1/model"


@pytest.mark.parametrize("job_dir", ["/", "gs://b"])
def test_a_job_dir_may_be_a_root(job_dir):
    job = resolved({}, "--job-dir", job_dir).job
    assert job.model_dir == job_dir.rstrip("/") + "/model"
    assert job.output_dir == job_dir


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        ("--train-file", "train"),
        ("--train-files", "train"),
        ("--train_files", "train"),
        ("--test-file", "test"),
        ("--test-files", "test"),
        ("--eval-file", "test"),
        ("--eval_files", "test"),
    ],
)
def test_the_arguments_of_ai_platform_samples_are_understood(flag, field):
    both = {"train": ("a",), "test": ("b",)} | {field: ("x", "y")}
    others = [f"--{name}={value[0]}" for name, value in both.items() if name != field]
    job = resolved({}, flag, "x", "y", *others).job
    assert (job.train, job.test) == (both["train"], both["test"])


def trial_of(env: dict[str, str], *argv: str) -> Trial | None:
    return resolved(env, *argv).job.trial


def test_a_trial_is_named_by_its_variable_or_by_the_specification():
    spec = {"task": {"type": "workerpool0", "index": 0, "trial": "7"}}
    by_spec = {"CLUSTER_SPEC": json.dumps(spec)}
    assert trial_of(by_spec) == Trial(number="7", tag=DEFAULT_TAG, file=DEFAULT_FILE)
    assert trial_of(by_spec | {"CLOUD_ML_TRIAL_ID": "8"}) == Trial(number="8")
    assert trial_of({"CLOUD_ML_JOB_ID": "x"}) is None


def test_metric_tag_and_file_are_those_of_the_service():
    env = {"CLOUD_ML_HP_METRIC_TAG": "accuracy", "CLOUD_ML_HP_METRIC_FILE": "/t/m"}
    assert trial_of(env | {"CLOUD_ML_TRIAL_ID": "2"}) == Trial(
        number="2", tag="accuracy", file="/t/m"
    )
    assert trial_of(env) == Trial(number="0", tag="accuracy", file="/t/m")


def test_only_the_chief_reports_but_all_share_the_trials_folder():
    config = {
        "cluster": {"chief": ["a:1"], "worker": ["b:1"]},
        "task": {"type": "worker", "index": 0, "trial": "5"},
    }
    job = resolved({"TF_CONFIG": json.dumps(config)}, "--job-dir", "gs://b/run").job
    assert job.trial is None
    assert job.checkpoint_dir == "gs://b/run/5/checkpoints"


def test_a_trials_number_is_not_appended_twice():
    env = {"CLOUD_ML_TRIAL_ID": "5"}
    assert resolved(env, "--job-dir", "gs://b/run/5").job.model_dir == "gs://b/run/5/model"
    assert resolved(env, "--job-dir", "gs://b/run15").job.model_dir == "gs://b/run15/5/model"


@pytest.mark.parametrize("name", google.VARIABLES)
def test_each_variable_tells_the_platform(name):
    assert google.detect(Environment(env={name: "x"})) == f"{name} is set"
    assert google.detect(Environment(env={name: ""})) is None


def test_tf_config_on_a_plain_machine_is_a_cluster():
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    found = resolved({"TF_CONFIG": json.dumps(config)})
    assert found.job.cluster == Cluster(worker=("a:1", "b:1"), role="worker", index=1)


def test_a_stopped_run_does_not_look_finished():
    job = resolved(VERTEX).job
    assert (job.stopped_code, job.failure_file) == (143, None)
    assert job.grace < 30


@pytest.mark.parametrize(
    ("env", "late"),
    [
        ({"TF_CONFIG": '{"environment": "cloud"}'}, False),
        ({"TF_CONFIG": "{}", "CLOUD_ML_JOB_ID": "1"}, True),
        ({"CLOUD_ML_PROJECT_ID": "1"}, True),
    ],
)
def test_evaluators_that_nobody_can_list_may_come_late_on_googles_services(tmp_path, env, late):
    assert google.read(Environment(env=env, root=tmp_path)).late_evaluators == late
