"""Turn a script or a notebook that submits jobs into commands of `trainer`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.migration.commands import Flag, LeftOut, Migration, ShellCommand, Variables
from trainer.migration.deploying import batch_command, deploy_command
from trainer.migration.draft import Draft
from trainer.migration.estimator import add_argument
from trainer.migration.followed import Followed, uploaded_address
from trainer.migration.requests import with_requests
from trainer.migration.signatures import ESTIMATORS, MODELS, REQUESTS, TUNERS, VERTEX_JOBS
from trainer.migration.source import read_script
from trainer.migration.submitting import Reading, draft_of
from trainer.migration.target import Target
from trainer.migration.unserved import unserved
from trainer.migration.values import Given, Made, Unknown, Use, folder_of, is_text, joined, parts_of
from trainer.migration.vertex_job import vertex_draft
from trainer.migration.vertex_requests import with_vertex_requests
from trainer.migration.vertex_serving import model_of, serving_commands
from trainer.migration.walk import follow

_BEST = Unknown(name="best_job", source="the best trial, which trainer jobs logs names", line=0)


def migrate(path: Path, *, to: str | None = None, bucket: str | None = None) -> Migration:
    """Return the commands that do what a script does, without running it.

    Args:
        path: A Python script or a notebook.
        to: The place to which its jobs go; by default the one that it is written for.
        bucket: The bucket that takes the place of those in S3, as `gs://BUCKET`.

    Raises:
        UserError: The file cannot be read, or submits no job that is known here.
    """
    script = read_script(path)
    followed = with_vertex_requests(with_requests(follow(script)))
    own = any(made.kind in VERTEX_JOBS for made in followed.made)
    place = to or ("vertex" if own else "sagemaker")
    reading = Reading(script=script, followed=followed, target=Target(place=place, bucket=bucket))
    work = _Work(reading)
    work.read()
    others = tuple(unserved(followed, place))
    if not work.commands:
        remedy = "name the script or notebook that makes one"
        if others:
            first = others[0]
            remedy = f"for {first.name} in {script.place(first.line)}: {first.remedy}"
        raise UserError(
            subject=path,
            problem="makes no estimator of SageMaker's SDK and no job of Vertex AI's, so far as "
            "that shows without running it",
            remedy=remedy,
        )
    work.notes += others
    for place, why in script.unread:
        work.notes.append(LeftOut(line=0, place=place, name="cell", remedy=f"was not read: {why}"))
    return Migration(
        commands=tuple(sorted(work.commands, key=lambda command: command.line)),
        notes=tuple(dict.fromkeys(sorted(work.notes, key=lambda note: note.line))),
        variables=Variables(),
        places=script.places,
        secrets=work.secrets,
    )


class _Work:
    """Gathers the commands of a script."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.followed: Followed = reading.followed
        self.commands: list[ShellCommand] = []
        self.notes: list[LeftOut] = []
        self.secrets: dict[str, str] = {}
        self.uploaded: list[Any] = []

    def read(self) -> None:
        tuned = {
            id(made.value("estimator", "custom_job")): made
            for made in self.followed.made
            if made.kind in TUNERS
        }
        for use in self.followed.uses:
            if use.method == "upload_data":
                self.upload(use)
        for made in self.followed.made:
            if made.kind in (*ESTIMATORS, *REQUESTS):
                self.job(made, tuned.get(id(made)))
            elif made.kind in VERTEX_JOBS:
                tuner = tuned.get(id(made))
                draft = vertex_draft(self.reading, made, tuner=tuner)
                what = "searches" if tuner else "trains"
                shown = (tuner or made).label or (tuner or made).kind
                self.models(made, draft)
                self.add(draft, f"{what}, as {shown} does")
            elif made.kind == "upload":
                self.serving(made, made.value("artifact_uri"))
            elif made.kind == "attached":
                self.endpoints(made, made.value("training_job_name"), {})
            elif made.kind in MODELS:
                self.model(made)
        for use in self.followed.uses if self.commands else ():
            if use.method in ("copy_data", "upload_file"):
                self.copy(use)

    def models(self, job: Made, draft: Draft) -> None:
        """Add the endpoints of the models that runs of a job return."""
        served = [each for each in map(model_of, self.followed.uses) if each is not None]
        for made in dict.fromkeys(each for each in served if each.owner is job):
            self.serving(made, self.name_of(draft))

    def serving(self, made: Made, model: Any) -> None:
        for command, draft in serving_commands(self.reading.target, self.followed, made, model):
            self.take(command, draft)

    def model(self, made: Made) -> None:
        if made.kind in ("MXNetModel", "PyTorchModel"):
            remedy = "the trainer serves TensorFlow alone: docs/bring-your-own-model.md"
            self.notes.append(LeftOut(line=made.line, name=made.kind, remedy=remedy))
        shared = _shared(made, self.reading.target.place)
        self.endpoints(made, made.value("model_data"), shared)

    def upload(self, use: Use) -> None:
        """Copy data to S3, as `Session.upload_data` does."""
        path = use.given["path"].value if "path" in use.given else None
        address = uploaded_address(use)
        if not is_text(path) or not is_text(address):
            return
        self.uploaded.append(address)
        url = self.reading.target.url(address)
        if isinstance(path, str) and path.rpartition("/")[2].count("."):
            # A file goes into the folder.
            url = folder_of(url)
        self.sync(path, url, use.line, "copies data, as upload_data does")

    def copy(self, use: Use) -> None:
        """Copy data as a line of a shell or a method of boto3 does."""
        given = {name: each.value for name, each in use.given.items()}
        if use.method == "upload_file":
            given["source"] = given.get("Filename")
            given["target"] = joined("s3://", given.get("Bucket"), "/", given.get("Key"))
        source, url = given["source"], given["target"]
        if not is_text(source) or not is_text(url):
            return
        last = source.rpartition("/")[2] if isinstance(source, str) else ""
        if "." in last and is_text(url) and not str(parts_of(url)[-1]).endswith("/"):
            # A file goes into the folder.
            url = folder_of(url)
        target = self.reading.target
        shown = use.made.label or use.method
        self.sync(source, target.url(url), use.line, f"copies data, as {shown} does")

    def sync(self, source: Any, url: Any, line: int, about: str) -> None:
        flags = tuple(Flag(name="", values=(each,)) for each in (source, url))
        command = ShellCommand(verb="trainer data sync", flags=flags, about=about, line=line)
        if all(command.flags != other.flags for other in self.commands):
            self.commands.append(command)

    def job(self, made: Made, tuner: Made | None) -> None:
        draft = draft_of(self.reading, made, tuner=tuner)
        for old, new in draft.moved:
            if old not in self.uploaded:
                self.sync(old, new, made.line, "copies the data, once")
        owner = tuner or made
        asked = [*self.followed.uses_of(owner, "deploy", "transformer")]
        model = self.name_of(draft) if asked and tuner is None else _BEST
        shared = dict(draft.flags)
        what = "searches, as HyperparameterTuner does" if tuner else f"trains, as {made.kind} does"
        self.add(draft, what)
        if "local" in draft.flags:
            model = joined("runs/", model, "/model")
        self.endpoints(owner, model, shared)

    def add(self, draft: Draft, about: str) -> None:
        self.take(draft.command(about), draft)

    def take(self, command: ShellCommand, draft: Draft) -> None:
        self.commands.append(command)
        self.notes += draft.notes
        self.secrets |= draft.secrets

    def name_of(self, draft: Draft) -> Any:
        """Return the name of a job that later commands speak of, in a variable if it is made."""
        flag = draft.flags.get("name", Flag(name="--name", values=("trainer",), stamped=True))
        if not flag.stamped:
            return flag.values[0]
        taken = sum(command.assigns is not None for command in self.commands)
        name = Unknown(name=f"job_{taken + 1}" if taken else "job", source="", line=draft.line)
        made = Flag(name="", values=flag.values, stamped=True)
        line = ShellCommand(
            verb="", flags=(made,), about="names the job", line=draft.line, assigns=name
        )
        self.commands.append(line)
        draft.flags["name"] = Flag(name="--name", values=(name,))
        return name

    def endpoints(self, owner: Made, model: Any, shared: Mapping[str, Flag]) -> None:
        """Add the endpoints and batch jobs of a job or a model."""
        target = self.reading.target
        if not is_text(model):
            return
        for use in self.followed.uses_of(owner, "deploy"):
            use = dataclasses.replace(use, given={**_of_model(owner), **use.given})
            command, draft = deploy_command(
                target, model, use, shared=shared, about="makes an endpoint, as deploy does"
            )
            self.take(command, draft)
            self.notes += self.later(use)
        for made in self.followed.made:
            if made.kind != "transformer" or made.owner is not owner:
                continue
            for use in self.followed.uses_of(made, "transform"):
                command, draft = batch_command(
                    target, model, made, use, shared=shared, about="answers files, as transform "
                    "does",
                )  # fmt: skip
                self.take(command, draft)

    def later(self, deployed: Use) -> Iterator[LeftOut]:
        """Yield notes on what the script does with an endpoint."""
        given = deployed.given.get("endpoint_name")
        name = given.value if given and isinstance(given.value, str) else "NAME"
        where = self.reading.target.place
        for made in self.followed.made:
            if made.kind == "deploy" and made.line == deployed.line:
                for use in self.followed.uses_of(made, "predict", "delete_endpoint"):
                    verb = "predict" if use.method == "predict" else "undeploy"
                    files = " FILES --out answers.jsonl" if verb == "predict" else ""
                    yield LeftOut(
                        line=use.line, name=use.method,
                        remedy=f"use trainer {verb} {name}{files} --to {where}, with the name that "
                        "trainer deploy prints" if name == "NAME" else
                        f"use trainer {verb} {name}{files} --to {where}",
                    )  # fmt: skip


def _of_model(made: Made) -> Mapping[str, Given]:
    """Return the arguments of a model, which its endpoints have, too."""
    return made.given if made.kind in MODELS else {}


def _shared(made: Made, place: str) -> dict[str, Flag]:
    """Return the flags of a model that an endpoint has, too."""
    draft = Draft(target=Target(place=place), line=made.line)
    if made.value("role") is not None:
        draft.set("role", made.value("role"))
    for name in ("image_uri", "image"):
        if name in made.given and made.kind == "Model":
            add_argument(draft, "image_uri", made.given[name])
    return draft.flags
