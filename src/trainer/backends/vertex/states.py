"""The state of a Vertex AI job, and what to do where one failed.

Sources: `JobState` and `CustomJob.error` of the API's description, v1; "Troubleshooting" in the
Vertex AI documentation for the texts of failures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainer.backends.backend import JobStatus, State
from trainer.config import UserError

STATES: Mapping[str, State] = {
    "JOB_STATE_QUEUED": "waiting",
    "JOB_STATE_PENDING": "waiting",
    "JOB_STATE_RUNNING": "running",
    "JOB_STATE_PAUSED": "waiting",
    "JOB_STATE_UPDATING": "running",
    "JOB_STATE_SUCCEEDED": "completed",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "completed",
    "JOB_STATE_CANCELLING": "stopping",
    "JOB_STATE_CANCELLED": "stopped",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_EXPIRED": "failed",
}
_EXIT = re.compile(r"non-zero (?:exit )?(?:status|code)(?: of| code)?:? (\d+)", re.IGNORECASE)
# What a failure's text has, and what to do; the first that fits counts.
_REFUSALS = (
    (r"quota", "ask for more of this quota in the region (console: IAM & Admin, Quotas), or take "
     "other machines or another --region"),
    (r"resources? (?:are |is )?(?:insufficient|unavailable)|stockout|not enough resources",
     "take another --region or machine, or --strategy flex-start, which waits for them"),
    (r"has not been used in project|is disabled", "turn the service on: gcloud services enable "
     "aiplatform.googleapis.com"),
    (r"actAs|act as|iam\.serviceAccounts", "let your account use --service-account "
     "(roles/iam.serviceAccountUser), which has to be there"),
)  # fmt: skip
# Those of a job that has run.
_FAILURES = (
    *_REFUSALS,
    (r"(?:pull|image).*(?:denied|forbidden|not found|does not exist)|Failed to pull|ImagePull",
     "push the image to where the job's region can pull it, and let the Vertex AI service agent, "
     "which pulls it, read that repository (roles/artifactregistry.reader)"),
    (r"permission|forbidden|403", "give the job's --service-account the role that it misses, such "
     "as roles/storage.objectUser for its buckets"),
    (r"low on memory|out of memory|OOM", "take a --machine-type with more memory, or a smaller "
     "--batch-size or --cache-mb"),
    (r"preempt", "a spot machine was taken away: submit the job again with the same --output and "
     "--name, and it goes on from its newest checkpoint"),
)  # fmt: skip


def status_of(job: Mapping[str, Any]) -> JobStatus:
    """Return the status of a job, from its JSON."""
    word = str(job.get("state") or "JOB_STATE_UNSPECIFIED")
    error = job.get("error") or {}
    text = " ".join(str(error.get("message") or "").split())
    found = _EXIT.search(text)
    detail = word.removeprefix("JOB_STATE_").lower().replace("_", " ")
    return JobStatus(
        state=STATES.get(word, "waiting"),
        detail=", ".join(filter(None, [detail, trials_text(job)])),
        failure=with_hint(text) if text else "",
        exit_code=int(found[1]) if found else None,
        started=seconds(job.get("startTime")),
        ended=seconds(job.get("endTime")),
    )


def trials_text(job: Mapping[str, Any]) -> str:
    """Return how far a tuning job is, and its best trial with the values that it tried."""
    if "maxTrialCount" not in job:
        return ""
    trials = [t for t in job.get("trials", ()) if t.get("state") in ("SUCCEEDED", "INFEASIBLE")]
    text = f"{len(trials)} of {job['maxTrialCount']} trials"
    measured = {
        str(trial.get("id")): (metric["value"], trial)
        for trial in trials
        for metric in trial.get("finalMeasurement", {}).get("metrics", ())[:1]
        if "value" in metric
    }
    if not measured:
        return text
    least = job.get("studySpec", {}).get("metrics", [{}])[0].get("goal") == "MINIMIZE"
    value, best = (min if least else max)(measured.values(), key=lambda pair: pair[0])
    tried = (f"{p.get('parameterId')}={p.get('value')}" for p in best.get("parameters", ()))
    return f"{text}, best {best.get('id')}: {value:g} with {' '.join(tried)}"


def with_hint(text: str) -> str:
    """Return the text of a failure with what to do behind it, where that is known."""
    remedy = _first(_FAILURES, text)
    return f"{text.rstrip('. ')}; {remedy}" if remedy else text


def with_remedy(error: UserError) -> UserError:
    """Return what the service refused, with what to do about it where that is known."""
    remedy = _first(_REFUSALS, error.problem) or error.remedy
    return UserError(subject=error.subject, problem=error.problem, remedy=remedy)


def _first(hints: Iterable[tuple[str, str]], text: str) -> str | None:
    found = (remedy for pattern, remedy in hints if re.search(pattern, text, re.IGNORECASE))
    return next(found, None)


def seconds(stamp: str | None) -> float | None:
    """Return the seconds since 1970 of a time in RFC 3339, such as 2026-11-29T12:00:00.123Z."""
    if not stamp:
        return None
    # Python knows up to six digits of a second; the service may send nine.
    plain = re.sub(r"(\.\d{6})\d+", r"\1", stamp)
    return datetime.fromisoformat(plain).timestamp()
