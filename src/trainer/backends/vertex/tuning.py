"""A search as Vertex AI's `HyperparameterTuningJob`."""

from __future__ import annotations

import dataclasses

from trainer.backends.backend import Tuning
from trainer.config import UserError
from trainer.platforms import Submission, VertexOptions, VertexRequest, custom_job
from trainer.sweep import vertex_definition

# Of one job, and at a time ("Quotas and limits" in the Vertex AI documentation).
MOST_TRIALS, MOST_PARALLEL = 1000, 100


def tuning_job(submission: Submission, options: VertexOptions, tuning: Tuning) -> VertexRequest:
    """Return the request that starts a tuning job.

    Args:
        submission: What all trials share.
        options: The settings of Vertex AI.
        tuning: The search.

    Raises:
        UserError: Vertex AI would refuse the request.
    """
    for flag, count, most in (
        ("--trials", tuning.trials, MOST_TRIALS),
        ("--parallel", tuning.parallel, MOST_PARALLEL),
    ):
        if count > most:
            raise UserError(subject=f"{flag} {count}", problem=f"Vertex AI takes up to {most}")
    single = custom_job(submission, options)
    found = vertex_definition(tuning.space, trials=tuning.trials, jobs=tuning.parallel)
    study = found["studySpec"]
    for each in study["parameters"]:
        if "discreteValueSpec" in each:
            each["scaleType"] = "UNIT_LINEAR_SCALE"
    if (submission.job.metric or "").endswith(":min"):
        study["metrics"][0]["goal"] = "MINIMIZE"
    # The evaluation of the model that a trial exports.
    early = submission.job.early_stop is not None
    study["measurementSelectionType"] = "BEST_MEASUREMENT" if early else "LAST_MEASUREMENT"
    body = {name: value for name, value in single.body.items() if name != "jobSpec"}
    body |= {
        "studySpec": study,
        "maxTrialCount": tuning.trials,
        "parallelTrialCount": tuning.parallel,
        "trialJobSpec": single.body["jobSpec"],
    }
    return dataclasses.replace(single, kind="hyperparameterTuningJobs", body=body)
