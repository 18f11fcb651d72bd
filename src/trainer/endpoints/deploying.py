"""A deployment from a model to an endpoint that answers."""

from __future__ import annotations

import dataclasses
import json
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path

from trainer.config import RetryableError, UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deploy_options import DeployOptions, checked_name, name_of_model
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.ledger import Ledger
from trainer.endpoints.model_source import (
    ARCHIVE,
    ModelSource,
    form_of,
    opened_model,
    write_model,
)
from trainer.endpoints.prediction.asking import (
    RefusedRequestError,
    RetryPolicy,
    StoppedAskingError,
    predictions,
)
from trainer.endpoints.prediction.pieces import JSON, Piece
from trainer.endpoints.registry import TARGETS
from trainer.endpoints.sample import SampleRequest, sample_of
from trainer.endpoints.target import EndpointService, EndpointTarget
from trainer.endpoints.waiting import EndedError
from trainer.packaging import GRAPH_FILE, read_class_names
from trainer.runtime import StoppedError, StopRequest, output
from trainer.storage import is_remote, local, local_path, remote, unfinished, upload_folder

logger = logging.getLogger(__name__)

# Where docker's models go.
LOCAL_ARTIFACTS = "deployments"


def deploy(model: str, options: DeployOptions, *, stamp: str, stop: StopRequest) -> None:
    """Bring a model to an endpoint, and print a request that it answers.

    Args:
        model: A folder, an archive, a url or the name of a finished job.
        options: Of the verb.
        stamp: Date and time, such as `20260131-120000`, for the names of what is made.
        stop: Set to end the waiting.

    Raises:
        UserError: The model is none, the place refuses a request, or the endpoint failed; what was
            made is taken down again, or named.
    """
    target = TARGETS[options.place()]
    name = checked_name(options.name or name_of_model(model))
    if options.print:
        output.out_json(list(target.requests(_planned(model, name, target, options, stamp))))
        return
    service = target.connect(options)
    # Flags are checked before a model is fetched.
    draft = _planned(model, name, target, options, stamp, is_real=True)
    target.requests(draft)
    service.check(draft)
    ledger = Ledger(undeploy=_undeploy_command(name, options), keep=options.keep)
    try:
        with opened_model(
            model, version=options.version, url_of_job=service.model_of_job, stop=stop
        ) as source:
            names = read_class_names(source.model.files[GRAPH_FILE].parent)
            sample = dataclasses.replace(sample_of(source.model.graph), has_class_names=bool(names))
            deployment = _placed(source, name, target, options, stamp, ledger, stop)
        service.make(deployment, ledger, stop)
        service.wait(deployment, stop)
        client = service.try_out(deployment, sample)
        if client is not None:
            _try(client, sample, stop)
    except BaseException as error:
        ledger.undo()
        # A store that is told to stop says so in an error of its own.
        if isinstance(error, StoppedError) or (stop() and isinstance(error, RetryableError)):
            raise EndedError(subject=name, problem="stopped before it was made") from None
        raise
    _report(service, deployment, sample, model=model)


def _planned(
    model: str,
    name: str,
    target: EndpointTarget,
    options: DeployOptions,
    stamp: str,
    *,
    is_real: bool = False,
) -> Deployment:
    """Return the deployment as it would be, without a look at the model."""
    artifact = model.rstrip("/")
    if target.scheme:
        is_archive = model.endswith((".tar.gz", ".tgz"))
        fits = model.startswith(f"{target.scheme}://") and is_archive == (target.form == ARCHIVE)
    else:
        path = Path(model if is_remote(model) else local_path(model, flag="MODEL"))
        fits = path.is_dir() and options.artifacts is None and form_of(path) == target.form
        artifact = str(path.absolute())
    fits = fits and options.version is None and options.code is None
    if not fits:
        wanted = is_real and options.artifacts is None and target.scheme
        artifact = "" if wanted else _artifact(name, target, options, stamp)
    return Deployment(
        name=name, stamp=stamp, artifact=artifact, is_uploaded=not fits, options=options
    )


def _artifact(name: str, target: EndpointTarget, options: DeployOptions, stamp: str) -> str:
    """Return the url or folder that the packed model gets."""
    base = options.artifacts
    if target.scheme:
        if base is None:
            raise UserError(
                subject="--artifacts",
                problem="not given",
                remedy=f"name where the packed model goes: {target.scheme}://BUCKET/PATH",
            )
        if not base.startswith(f"{target.scheme}://"):
            raise UserError(
                subject=f"--artifacts {base}", problem=f"expected {target.scheme}://BUCKET/PATH"
            )
        tail = f"/{ARCHIVE}" if target.form == ARCHIVE else ""
        return f"{base.rstrip('/')}/{name}/{stamp}{tail}"
    folder = LOCAL_ARTIFACTS if base is None else base
    if is_remote(folder):
        raise UserError(subject=f"--artifacts {folder}", problem="expected a folder for docker")
    return str(Path(local_path(folder, flag="--artifacts"), name, stamp).absolute())


def _placed(
    source: ModelSource,
    name: str,
    target: EndpointTarget,
    options: DeployOptions,
    stamp: str,
    ledger: Ledger,
    stop: StopRequest,
) -> Deployment:
    """Pack the model and bring it where the place reads it, unless it lies there already."""
    if target.scheme:
        lies_there, url = source.url.startswith(f"{target.scheme}://"), source.url.rstrip("/")
    else:
        lies_there = options.artifacts is None and not is_remote(source.url)
        url = str(Path(local_path(source.url, flag="MODEL")).absolute())
    if lies_there and source.form == target.form and not options.code:
        return Deployment(name=name, stamp=stamp, artifact=url, is_uploaded=False, options=options)
    artifact = _artifact(name, target, options, stamp)
    code = Path(local_path(options.code, flag="--code")) if options.code else None
    if code and not (code / "inference.py").is_file():
        raise UserError(subject=f"--code {code}", problem="has no inference.py")
    if not target.scheme:
        with local.new_folder(Path(artifact)) as part:
            write_model(source, part, target.form, code=code)
        ledger.add(artifact, lambda: local.remove_folder(Path(artifact)))
    else:
        folder = artifact.removesuffix(f"/{ARCHIVE}")
        with unfinished.temporary_folder(None) as work:
            packed = write_model(source, Path(work), target.form, code=code)
            ledger.add(folder, lambda: remote.remove(folder, flag="--artifacts"))
            upload_folder(packed, folder, stopped=stop, flag="--artifacts")
    return Deployment(name=name, stamp=stamp, artifact=artifact, is_uploaded=True, options=options)


def _try(client: EndpointClient, sample: SampleRequest, stop: StopRequest) -> None:
    """Ask the endpoint once: it has to answer, if only that a row of zeros does not suit it."""
    body = json.dumps(sample.document).encode()
    piece = Piece(source="a row of zeros", numbers=(0,), media_type=JSON, body=body)
    try:
        predictions(client, piece, RetryPolicy(tries=6, wait=stop.wait))
        logger.info("%s: answers", client.name)
    except RefusedRequestError as error:
        logger.warning("%s: answers, but not to a row of zeros: %s", client.name, error)
    except StoppedAskingError:
        raise EndedError(subject=client.name, problem="stopped before it answered") from None
    except RetryableError as error:
        raise UserError(
            subject=client.name, problem=f"is ready, but does not answer: {error}"
        ) from None


def _report(
    service: EndpointService, deployment: Deployment, sample: SampleRequest, *, model: str
) -> None:
    for line in _lines(service, deployment, sample, model):
        output.out(line)


def _lines(
    service: EndpointService, deployment: Deployment, sample: SampleRequest, model: str
) -> Iterator[str]:
    options = deployment.options
    if options.batch:
        yield f"answered {options.batch[0]} to {options.batch[1]}"
    else:
        examples = service.examples(deployment, sample)
        yield f"{deployment.name} answers. Ask it:"
        yield f"\n{examples.shell}\n"
        yield f"or in Python:\n\n{examples.python}\n"
        place = f" --to {options.to}" if options.to != "sagemaker" else ""
        # A container's own server says their names; endpoints of clouds answer predictions alone.
        if sample.has_class_names and options.to != "docker" and Path(model).is_dir():
            place += f" --class-names {shlex.quote(model)}"
        yield f"or about files: trainer predict {deployment.name} FILES{place}{_where(options)}"
    yield f"take it down: {_undeploy_command(deployment.name, options)}"


def _where(options: DeployOptions) -> str:
    given = {
        "--region": options.region, "--project": options.project, "--profile": options.profile,
    }  # fmt: skip
    return "".join(f" {flag} {shlex.quote(value)}" for flag, value in given.items() if value)


def _undeploy_command(name: str, options: DeployOptions) -> str:
    return f"trainer undeploy {name} --to {options.to}{_where(options)}"
