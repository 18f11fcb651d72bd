"""The order of arguments of the SDKs' classes and methods, as people give some by position.

Sources: the signatures of versions 1 and 2 of the SageMaker Python SDK, where both have the same
order, of its version 3, and of google-cloud-aiplatform.
"""

from __future__ import annotations

from collections.abc import Mapping

_ESTIMATOR = ("image_uri", "role", "instance_count", "instance_type")
# The classes that stand for a training job of SageMaker.
FRAMEWORKS = (
    "TensorFlow", "MXNet", "PyTorch", "Chainer", "SKLearn", "XGBoost", "HuggingFace", "RLEstimator",
)  # fmt: skip
ESTIMATORS = (*FRAMEWORKS, "Estimator", "ModelTrainer")
# The requests of boto3 that stand for one, too.
REQUESTS = ("create_training_job",)
VERTEX_JOBS = (
    "CustomJob", "CustomContainerTrainingJob", "CustomTrainingJob",
    "CustomPythonPackageTrainingJob", "from_local_script",
)  # fmt: skip
# It sets project, location and bucket for all jobs that follow.
VERTEX_INIT = "google.cloud.aiplatform.init"
MODELS = ("TensorFlowModel", "MXNetModel", "PyTorchModel", "Model", "FrameworkModel")
TUNERS = ("HyperparameterTuner", "HyperparameterTuningJob")
_RANGE = ("min_value", "max_value", "scaling_type")

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "Estimator": _ESTIMATOR,
    "TensorFlow": ("py_version", "framework_version", "model_dir", "image_uri", "distribution"),
    **dict.fromkeys(FRAMEWORKS[1:], ("entry_point", "source_dir")),
    "HyperparameterTuner": (
        "estimator", "objective_metric_name", "hyperparameter_ranges", "metric_definitions",
    ),
    "ContinuousParameter": _RANGE, "IntegerParameter": _RANGE, "CategoricalParameter": ("values",),
    "TrainingInput": ("s3_data", "distribution"), "s3_input": ("s3_data", "distribution"),
    "InstanceGroup": ("instance_group_name", "instance_type", "instance_count"),
    "TensorFlowModel": ("model_data", "role", "entry_point"),
    "MXNetModel": ("model_data", "role", "entry_point"), "Model": ("image_uri", "model_data"),
    "Session": ("boto_session",),
    "CustomTrainingJob": ("display_name", "script_path", "container_uri"),
    "CustomContainerTrainingJob": ("display_name", "container_uri"),
    "CustomJob": ("display_name", "worker_pool_specs"),
    "from_local_script": ("display_name", "script_path", "container_uri"),
    "HyperparameterTuningJob": ("display_name", "custom_job", "metric_spec", "parameter_spec"),
    "DoubleParameterSpec": ("min", "max", "scale"), "IntegerParameterSpec": ("min", "max", "scale"),
    "DiscreteParameterSpec": ("values", "scale"), "CategoricalParameterSpec": ("values",),
}  # fmt: skip
# Classes and functions that are known without an import, as a snippet has them.
BUILDERS = frozenset([
    *ESTIMATORS, *VERTEX_JOBS, *TUNERS, *POSITIONS, "FileSystemInput", "ServerlessInferenceConfig",
    "TensorBoardOutputConfig",
]) - {"Model", "Session"}  # fmt: skip
# Functions that return an object of a job that is there already.
ATTACHING: Mapping[str, tuple[str, ...]] = {"attach": ("training_job_name",)}
METHODS: Mapping[str, tuple[str, ...]] = {
    "fit": ("inputs", "wait", "logs", "job_name"),
    "train": ("input_data_config", "wait", "logs"),
    "deploy": ("initial_instance_count", "instance_type"),
    "transformer": ("instance_count", "instance_type"),
    "transform": ("data", "data_type", "content_type"),
    "upload_data": ("path", "bucket", "key_prefix"),
    "upload_file": ("Filename", "Bucket", "Key"),
    "set_hyperparameters": (),
    "predict": ("data",), "delete_endpoint": (), "delete_model": (), "invoke": (),
    "batch_predict": ("job_display_name", "gcs_source", "gcs_destination_prefix"),
    "undeploy_all": (), "undeploy": (), "register": (), "client": ("service",),
    "create_training_job": (),
    "create_hyper_parameter_tuning_job": (), "create_processing_job": (), "create_endpoint": (),
    "create_transform_job": (), "invoke_endpoint": (),
    "create_custom_job": ("parent", "custom_job"),
    "create_hyperparameter_tuning_job": ("parent", "hyperparameter_tuning_job"),
    "run": (), "submit": (), "init": (),
    "with_metric_definitions": ("metric_definitions",),
    "with_tensorboard_output_config": ("tensorboard_output_config",),
    "with_retry_strategy": ("retry_strategy",),
    "with_checkpoint_config": ("checkpoint_config",),
    "with_infra_check_config": ("enable_infra_check",),
    "with_session_chaining_config": ("enable_session_tag_chaining",),
    "with_remote_debug_config": ("enable_remote_debug",),
}  # fmt: skip
# Parameters of a pipeline, which have a value for each of its runs.
PARAMETERS = dict.fromkeys(
    ("ParameterString", "ParameterInteger", "ParameterFloat", "ParameterBoolean"),
    ("name", "default_value"),
)
# Methods that start a job or an endpoint.
STARTING = (
    "fit", "train", "run", "submit", "deploy", "create_training_job", "create_custom_job",
    "create_hyper_parameter_tuning_job", "create_hyperparameter_tuning_job",
)  # fmt: skip
# Methods that only objects of the SDKs have, by which one is known that is made elsewhere.
ON_ANY = (
    "upload_data", "deploy", "transformer", "create_training_job",
    "create_hyper_parameter_tuning_job", "create_custom_job",
    "create_hyperparameter_tuning_job",
)  # fmt: skip
# The function that copies files to S3, and returns their address.
UPLOADER, UPLOADED = "S3Uploader.upload", ("source", "target")
# Functions of the SDKs that return an object.
_MAKING = (".client", "Model.upload", ".from_local_script", "HyperparameterTuner.create")


def is_builder(path: str) -> bool:
    """Return whether a dotted path is that of a class, or of a function that makes an object."""
    kind = path.rpartition(".")[2]
    if kind in BUILDERS or kind[:1].isupper() or path == VERTEX_INIT:
        return True
    return "." in path and path.endswith(_MAKING)
