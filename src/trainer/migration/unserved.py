"""Name the parts of a script that no command does, each with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trainer.migration.commands import LeftOut
from trainer.migration.followed import Followed
from trainer.migration.signatures import ESTIMATORS, MODELS, REQUESTS, TUNERS, VERTEX_JOBS
from trainer.migration.values import Made, Use
from trainer.migration.vertex_serving import is_read, model_of

_PREPARES = (
    "trainer data create, split and sync prepare data for it; run any other program by yourself"
)
_DEPLOY = "use trainer deploy MODEL --to {place}"
_ONE = f"an endpoint holds one model: {_DEPLOY} for each"
_SUBMIT = "use trainer submit --to {place}, with the values of this request as flags"
# Parts of a script that are named by their own label.
_LABELLED: Mapping[str, str] = {
    "loop": "repeat the commands of this loop for each of its rounds, with another --name",
    "command": "its options or its file have another form than the program takes: give what they "
    "say to trainer submit as flags",
}
# Classes and functions, by the name that the script calls them by.
_MADE: Mapping[str, str] = {
    **dict.fromkeys((
        "Processor", "ScriptProcessor", "FrameworkProcessor", "SKLearnProcessor",
        "PySparkProcessor", "SparkJarProcessor", "TensorFlowProcessor", "PyTorchProcessor",
        "HuggingFaceProcessor", "XGBoostProcessor", "MXNetProcessor",
    ), _PREPARES),
    "Pipeline": "run the commands above one after another; each ends with an exit code",
    **dict.fromkeys(("ConditionStep", "LambdaStep", "CallbackStep", "FailStep"),
                    "write it into the program that runs these commands"),
    **dict.fromkeys(("RegisterModel", "ModelStep", "CreateModelStep", "ModelPackage"),
                    "trainer fills no model registry of SageMaker: register the model.tar.gz"),
    "MultiDataModel": _ONE, "PipelineModel": _ONE,
    "ModelBuilder": "use trainer deploy JOB --to {place}, with the name of the job",
    "gcloud ai endpoints": f"{_DEPLOY}, trainer predict and trainer undeploy",
    "gcloud ai models": f"{_DEPLOY}: it puts the model into the registry",
    "gcloud ai custom-jobs local-run": "use trainer submit --to vertex --local",
    "gcloud ai-platform local train": "use trainer train with the same arguments",
    **dict.fromkeys(("gcloud ai-platform versions", "gcloud ai-platform models",
                     "aws sagemaker create-endpoint", "aws sagemaker create-model"), _DEPLOY),
    **dict.fromkeys(("gcloud ai-platform predict", "aws sagemaker-runtime invoke-endpoint"),
                    "use trainer predict NAME FILES --to {place} --out answers.jsonl"),
    "aws sagemaker create-transform-job": "use trainer deploy MODEL --to {place} --batch INPUT "
    "OUTPUT",
    "Run": "use --experiment NAME: each job is a run of the experiment",
    "create": "use trainer submit with --tune for one estimator at a time",
    "upload": "use trainer deploy URL --to vertex, with the address of the model",
    **dict.fromkeys(("DefaultModelMonitor", "ModelQualityMonitor", "ModelBiasMonitor"),
                    "nothing here watches an endpoint's data"),
}  # fmt: skip
# Calls of objects that no command of their own stands for.
_CALLS: Mapping[str, str] = {
    "fit": "trainer trains Keras models of TensorFlow alone",
    "deploy": _DEPLOY,
    "transformer": "use trainer deploy MODEL --to {place} --batch INPUT OUTPUT",
    "batch_predict": "use trainer deploy MODEL --to {place} --batch INPUT OUTPUT",
    "register": "trainer fills no model registry of SageMaker: register the model.tar.gz",
    "predict": "use trainer predict NAME FILES --to {place} --out answers.jsonl",
    "invoke": "use trainer predict NAME FILES --to {place} --out answers.jsonl",
    "invoke_endpoint": "use trainer predict NAME FILES --to {place} --out answers.jsonl",
    **dict.fromkeys(("undeploy", "undeploy_all"), "use trainer undeploy NAME --to {place}"),
    "delete_endpoint": "use trainer undeploy NAME --to {place}",
    "create_training_job": _SUBMIT,
    "create_hyper_parameter_tuning_job": f"{_SUBMIT}: --tune, --trials and --parallel",
    "create_custom_job": _SUBMIT,
    "create_hyperparameter_tuning_job": f"{_SUBMIT}: --tune, --trials and --parallel",
    "create_processing_job": _PREPARES,
    "create_transform_job": "use trainer deploy MODEL --to {place} --batch INPUT OUTPUT",
    "create_endpoint": _DEPLOY,
}
_OWN = (*ESTIMATORS, *REQUESTS, *TUNERS, *MODELS, *VERTEX_JOBS, "attached")


def unserved(followed: Followed, place: str) -> Iterator[LeftOut]:
    """Yield what the script asks for that no command does.

    Args:
        followed: What the script makes and asks for.
        place: Where the commands run their jobs.
    """
    for made in followed.made:
        if made.kind in _LABELLED:
            yield LeftOut(line=made.line, name=made.label, remedy=_LABELLED[made.kind])
        remedy = "" if made.kind in _OWN else _MADE.get(made.kind, "")
        served = any(model_of(use) is made and is_read(use) for use in followed.uses)
        if remedy and not served:
            yield LeftOut(line=made.line, name=made.kind, remedy=_at(remedy, place))
    for use in followed.uses:
        remedy = _CALLS.get(use.method, "")
        if remedy and not _is_served(use, followed):
            yield LeftOut(line=use.line, name=use.method, remedy=_at(remedy, place))


def _at(remedy: str, place: str) -> str:
    return remedy.format(place=place if place in ("sagemaker", "vertex") else "docker")


def _is_served(use: Use, followed: Followed) -> bool:
    """Return whether another part reads the call, or a note on its object is there already."""
    made = use.made
    if is_read(use):
        return True
    if made.kind in _MADE and made.kind not in _OWN:
        return True
    if made.kind == "deploy":
        # Requests of an endpoint that a command makes are among its notes.
        return made.owner is not None and made.owner.kind in _OWN and _has_model(made.owner)
    if use.method in ("deploy", "transformer"):
        return made.kind in _OWN and _has_model(made)
    return made.kind in _OWN


def _has_model(made: Made) -> bool:
    """Return whether the model has an address or a job that a command can name."""
    if made.kind in MODELS:
        return made.value("model_data") is not None
    return made.kind not in VERTEX_JOBS
