"""The jobs of Vertex AI: create, ask, list, stop, and what they left."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from trainer.backends.backend import Fetched, JobStatus, JobSummary, LogReader
from trainer.backends.vertex.log_entries import LogEntries
from trainer.backends.vertex.states import seconds, status_of, with_remedy
from trainer.clouds import GoogleSession
from trainer.config import RetryableError, UserError
from trainer.platforms import VertexKind, VertexOptions, VertexRequest

logger = logging.getLogger(__name__)

KINDS: tuple[VertexKind, ...] = get_args(VertexKind)
LOGGING = "https://logging.googleapis.com"


class VertexService:
    """Jobs of one project and region.

    A job is named by its display name, its number or its full name.

    Args:
        options: The settings of Vertex AI.

    Raises:
        UserError: There are no credentials, or they name no project and nobody else does.
    """

    def __init__(self, options: VertexOptions) -> None:
        self._options = options
        public = f"https://{options.region}-aiplatform.googleapis.com"
        self._session = _session(options.api_endpoint or public, "Vertex AI")
        self._project = options.project or self._session.project
        if not self._project:
            raise UserError(
                subject="--project",
                problem="the credentials name no project",
                remedy="give one, set GOOGLE_CLOUD_PROJECT, or write it to [vertex] of "
                "trainer.toml",
            )
        self._parent = f"/v1/projects/{self._project}/locations/{options.region}"
        self._found: dict[str, str] = {}

    def checked(self, request: VertexRequest) -> VertexRequest:
        """See `JobService.checked`.

        Raises:
            UserError: Another job writes to its folder.
        """
        self._check_folder(request)
        return request

    def submit(self, request: VertexRequest) -> str:
        """See `JobService.submit`.

        Raises:
            UserError: The service refuses the job.
        """
        try:
            made = self._session.request(
                "POST", f"{self._parent}/{request.kind}", body=request.body
            )
        except UserError as error:
            raise with_remedy(error) from None
        except RetryableError as error:
            raise RetryableError(
                f"{error}; the job may be there all the same: see trainer jobs list --on vertex"
            ) from None
        # Display names need not be unique; the number is.
        number = str(made["name"]).rpartition("/")[2]
        self._found[number] = f"{self._parent}/{request.kind}/{number}"
        return number

    def status(self, name: str) -> JobStatus:
        """See `JobService.status`."""
        return status_of(self._job(name))

    def logs(self, name: str) -> LogReader:
        """See `JobService.logs`."""
        session = _session(self._options.logging_endpoint or LOGGING, "Cloud Logging")
        job = self._job(name)
        return LogEntries(
            session,
            project=str(self._project),
            number=str(job["name"]).rpartition("/")[2],
            since=seconds(job.get("createTime")) or 0.0,
        )

    def jobs(self, limit: int) -> Sequence[JobSummary]:
        """See `JobService.jobs`."""
        found = [
            JobSummary(
                name=str(job["name"]).rpartition("/")[2],
                status=status_of(job),
                created=seconds(job.get("createTime")) or 0.0,
                detail=" ".join([str(job.get("displayName")), *_machines(job)]),
            )
            for kind in KINDS
            for job in self._list(kind, limit=limit)
        ]
        return sorted(found, key=lambda each: -each.created)[:limit]

    def stop(self, name: str) -> None:
        """See `JobService.stop`."""
        self._session.request("POST", f"{self._path(name)}:cancel", body={})

    def results(self, name: str, folder: Path) -> Sequence[Fetched]:
        """Return the folder of a job, or those of a tuning job's trials, in one."""
        base = _base(self._job(name))
        if not base:
            raise UserError(
                subject=name,
                problem="the job has no folder in Cloud Storage",
                remedy="its flags may name where it wrote: trainer jobs logs",
            )
        return [Fetched(source=base, target="")]

    def page(self, name: str) -> str | None:
        """See `JobService.page`."""
        number = self._path(name).rpartition("/")[2]
        return (
            "https://console.cloud.google.com/vertex-ai/locations/"
            f"{self._options.region}/training/{number}?project={self._project}"
        )

    def _check_folder(self, request: VertexRequest) -> None:
        """Refuse a job in the folder of one that is running, and warn of one that has ended."""
        name, base = request.body["displayName"], _base(request.body)
        for job in self._named(name):
            number, status = str(job["name"]).rpartition("/")[2], status_of(job)
            if _base(job) != base:
                continue
            if not status.is_over:
                raise UserError(
                    subject=f"--name {name}",
                    problem=f"job {number} is {status.state} and writes to {base}",
                    remedy="give another name, or stop that job",
                )
            logger.warning(
                "%s: job %s wrote here (%s); this one goes on from its newest checkpoint, and "
                "replaces its model", base, number, status.state,
            )  # fmt: skip
            return

    def _job(self, name: str) -> Any:
        return self._session.request("GET", self._path(name))

    def _path(self, name: str) -> str:
        """Return the path of a job.

        Raises:
            UserError: There is none of this name.
        """
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> str:
        if name.startswith("projects/"):
            return f"/v1/{name}"
        for path in (f"{self._parent}/{kind}/{name}" for kind in KINDS if name.isdigit()):
            if self._is_there(path):
                return path
        # Display names need not be unique: the newest is meant.
        for job in self._named(name):
            *_, kind, number = str(job["name"]).split("/")
            return f"{self._parent}/{kind}/{number}"
        raise UserError(
            subject=f"job {name}",
            problem=f"there is none in project {self._project}, region {self._options.region}",
            remedy="see trainer jobs list --on vertex, or give --region",
        )

    def _named(self, name: str) -> list[Mapping[str, Any]]:
        """Return the jobs with a display name, newest first."""
        wanted = name.replace("\\", "\\\\").replace('"', '\\"')
        jobs = (
            job
            for kind in KINDS
            for job in self._list(kind, limit=100, filter=f'display_name="{wanted}"')
        )
        return sorted(jobs, key=lambda job: str(job.get("createTime") or ""), reverse=True)

    def _is_there(self, path: str) -> bool:
        try:
            self._session.request("GET", path)
        except UserError as error:
            if "(NOT_FOUND)" in error.problem:
                return False
            raise
        return True

    def _list(self, kind: VertexKind, *, limit: int, **params: str) -> Iterator[Mapping[str, Any]]:
        """Yield the jobs of a kind, newest first, up to a number of them."""
        query: dict[str, Any] = {"pageSize": min(limit, 100), **params}
        while limit > 0:
            answer = self._session.request("GET", f"{self._parent}/{kind}", params=query)
            jobs = answer.get(kind, ())[:limit]
            yield from jobs
            limit -= len(jobs)
            if not jobs or not answer.get("nextPageToken"):
                return
            query["pageToken"] = answer["nextPageToken"]


def _session(endpoint: str, subject: str) -> GoogleSession:
    # An endpoint without encryption would pass credentials on to whoever listens.
    return GoogleSession(endpoint, subject=subject, is_anonymous=endpoint.startswith("http://"))


def _spec(job: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = job.get("jobSpec") or job.get("trialJobSpec") or {}
    return spec


def _base(job: Mapping[str, Any]) -> str:
    """Return the base output directory of a job, or "" if it has none."""
    return str(_spec(job).get("baseOutputDirectory", {}).get("outputUriPrefix", "")).rstrip("/")


def _machines(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield the machines of a job, such as `3×n1-standard-4`."""
    counts: dict[str, int] = {}
    for pool in _spec(job).get("workerPoolSpecs", ()):
        if pool:
            kind = str(pool.get("machineSpec", {}).get("machineType"))
            counts[kind] = counts.get(kind, 0) + int(pool.get("replicaCount", 1))
    yield from (f"{count}×{kind}" if count > 1 else kind for kind, count in counts.items())
