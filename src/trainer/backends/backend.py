"""The interface of a backend: a service or an engine that runs jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from trainer.storage import NO_OPTIONS, StorageOptions

if TYPE_CHECKING:
    from trainer.platforms import ContainerStart, Submission
    from trainer.sweep import Space

State = Literal["waiting", "running", "stopping", "completed", "failed", "stopped"]
# States that a job does not leave.
ENDED: tuple[State, ...] = ("completed", "failed", "stopped")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The search that a tuning service makes with a job.

    Attributes:
        space: What is searched for.
        trials: How many trials in all.
        parallel: How many at a time.
    """

    space: Space
    trials: int
    parallel: int


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job, as its backend has it.

    Attributes:
        state: What the job does.
        detail: The backend's own word for it, with a reason if there is one: `Downloading`.
        failure: Why the job failed, in the text that the backend has; empty otherwise.
        exit_code: The exit code of the container that ended it, or None if it is not known.
        started: When it started to run, in seconds since 1970, or None.
        ended: When it ended, or None.
        late_lines: Seconds for which lines of a job that has just ended may still arrive.
    """

    state: State
    detail: str = ""
    failure: str = ""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    late_lines: float = 0.0

    @property
    def is_over(self) -> bool:
        """True if the job has ended, well or not."""
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line that a container of a job printed.

    Attributes:
        host: The container, or "" in a job of one.
        text: The line without its end.
        time: Seconds since 1970; 0 if it is not known.
    """

    host: str
    text: str
    time: float = 0.0


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A job's line in a list.

    Attributes:
        name: What the other commands call it by.
        status: What it does.
        created: When it was submitted, in seconds since 1970.
        detail: Image, machines or whatever else tells it from others.
    """

    name: str
    status: JobStatus
    created: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One thing that a job left, for `trainer jobs fetch`.

    Attributes:
        source: Its url or path.
        target: Its name in the folder that it is brought to; "" for the folder itself.
        unpack: True for a tar.gz whose content is wanted.
    """

    source: str
    target: str
    unpack: bool = False


class LogReader(Protocol):
    """Reads the lines of a job's containers, from where the last call ended."""

    def read(self) -> Sequence[LogLine]:
        """Return the lines that are new, oldest first; none if there are none now.

        A service may deliver a line late: what has been returned once never comes again.
        """


class JobService(Protocol):
    """A backend's calls for jobs; every call is bounded in time, and raises UserErrors."""

    def checked(self, request: Any) -> Any:
        """Return a request with what it names looked up, before anything is sent for it."""

    def submit(self, request: Any) -> str:
        """Start the job of a checked request, and return the name that the other calls take."""

    def status(self, name: str) -> JobStatus:
        """Return the state of a job."""

    def logs(self, name: str) -> LogReader:
        """Return a reader of a job's lines."""

    def jobs(self, limit: int) -> Sequence[JobSummary]:
        """Return the newest jobs, newest first."""

    def stop(self, name: str) -> None:
        """Ask a job to stop; it saves and ends by itself."""

    def results(self, name: str, folder: Path) -> Sequence[Fetched]:
        """Return what a job left: model, report, failure text, checkpoints.

        Args:
            name: The job.
            folder: Where it is brought to. A backend whose files no url reaches may write them
                there itself, and return nothing.
        """

    def page(self, name: str) -> str | None:
        """Return the address of the job's page in the service's console, or None."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A service or an engine that runs jobs.

    A new backend is a module with one such object, and one line in `registry.BACKENDS`.

    Attributes:
        name: What `--to` calls it by.
        options: A dataclass of its own flags, made by `trainer.config.option`; it is also the table
            `name` of a team's settings.
        connection: The fields of `options` that say where jobs are, for `trainer jobs`.
        request: Returns the request that starts a job. It asks neither the network nor the
            credentials, and raises a UserError for what the backend would refuse.
        forms: Functions that write a request for people, by the word that `--print` takes. The
            first is the default of `--print` without a word.
        connect: Returns the service; called when a job is really sent.
        image: The image where nobody names one, or None if there can be no such default.
        bucket: Returns the url below which local inputs are uploaded, or None for a backend that
            reads them where they are.
        storage: Returns the settings with which uploads and what is fetched reach the store.
        mounted: Returns folders that the containers have whatever is on this machine, as those of
            volumes; inputs below them are not uploaded.
        tuning: Returns the request of a tuning job, or None if the backend has no such service.
        containers: Returns what the backend gives each container of a request, for `--local` and
            tests; None for an engine that is local already.
        limits: What the user should know of `--local` with this backend; "" if nothing.
        local_bucket: The url that stands for a bucket with `--local` where nobody names one, such
            as `s3://local`; nothing is sent there.
        grace: Seconds from SIGTERM to SIGKILL with `--local`.
    """

    name: str
    options: type
    connection: tuple[str, ...]
    request: Callable[[Submission, Any], Any]
    forms: Mapping[str, Callable[[Any], str]]
    connect: Callable[[Any], JobService]
    image: str | None = None
    bucket: Callable[[Any], str | None] = lambda options: None
    storage: Callable[[Any], StorageOptions] = lambda options: NO_OPTIONS
    mounted: Callable[[Any], Sequence[str]] = lambda options: ()
    tuning: Callable[[Submission, Any, Tuning], Any] | None = None
    containers: Callable[[Any], Sequence[ContainerStart]] | None = None
    limits: str = ""
    local_bucket: str | None = None
    grace: int = 120
