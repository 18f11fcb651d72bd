"""The data of a job: kind, files, examples and bytes, counted without reading much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import PARTS_OF, Job, UserError
from trainer.data import data_among, format_titles, scan_path
from trainer.doctor import stores
from trainer.doctor.findings import Finding, Level, of_error, problem
from trainer.doctor.probes import Probes, shown_size
from trainer.models import has_own_reader
from trainer.platforms import PLATFORMS
from trainer.storage import is_remote, local_path

if TYPE_CHECKING:
    from trainer.config import Split


def examine_data(job: Job, probes: Probes, *, unknown: Collection[str]) -> Iterator[Finding]:
    """Report the kind, files, examples and bytes of each split, or what is wrong with them.

    Args:
        job: The job that reads them.
        probes: The questions to object stores, and how much is read.
        unknown: Fields of the job whose values are not known, as a mistake is in them.
    """
    if job.import_model:
        try:
            yield _examine_model(job, probes)
        except UserError as error:
            yield of_error(error, remedy="name the model to import")
    elif "train" in unknown:
        yield Finding(about="data", text="not known, see the problem above", level="note")
    elif not job.train:
        yield _no_data(job)
    else:
        yield from _examine_splits(job, probes, unknown=unknown)


def _examine_model(job: Job, probes: Probes) -> Finding:
    """Report the model that is to be imported."""
    from trainer.packaging import choose_model, read_contents

    if not job.input:
        return problem("--input", "not given", "name the model to import, or a channel `input`")
    if is_remote(job.input):
        found = stores.examine_objects(
            [job.input], flag="--input", among=None, list_store=probes.list_store
        )
        return replace(found, about="--input", text=f"{job.input}: {found.text}")
    try:
        model = choose_model(
            read_contents(Path(local_path(job.input, flag="--input")), name=job.input)
        )
    except UserError as error:
        return problem("--input", str(error), "trainer package --inspect tells more")
    place = f", {model.place}" if model.place else ""
    return Finding(about="--input", text=f"{job.input}{place}: {model.kind}")


def _no_data(job: Job) -> Finding:
    """Report that a job names no training data."""
    if has_own_reader(job):
        return Finding(about="--train", text="nothing given, the module may bring its own data")
    for flag, paths in ("--test", job.test), ("--validation", job.validation):
        if paths:
            return problem("--train", f"not given, but {flag} is", "name both")
    # Only a first run on a plain machine is expected to do without data.
    level: Level = "note" if PLATFORMS[job.platform].is_fallback else "problem"
    return Finding(
        about="--train", text="nothing given, synthetic digits would be used", level=level,
        remedy="name data with --train DIR",
    )  # fmt: skip


def _examine_splits(job: Job, probes: Probes, *, unknown: Collection[str]) -> Iterator[Finding]:
    remedy = f"name files, folders or globs of {format_titles()}"
    train: Finding | None = None
    try:
        train = _examine_split(job, probes, job.train, split="train")
    except UserError as error:
        yield of_error(error, remedy=remedy)
    else:
        yield train
    evaluated: tuple[Split, ...] = ("validation", "test")
    for split in evaluated:
        if split not in unknown and (train or getattr(job, split)):
            try:
                yield from _examine_evaluated(job, probes, split, train=train)
            except UserError as error:
                yield of_error(error, remedy=remedy)


def _examine_evaluated(
    job: Job, probes: Probes, split: Split, *, train: Finding | None
) -> Iterator[Finding]:
    """Report the data of a split that is evaluated on; of no test data, what follows from that.

    Raises:
        UserError: The data cannot be evaluated on.
    """
    from trainer.data import files, selection

    own = has_own_reader(job)
    if split == "validation" and job.validation_split is not None:
        selection.paths_of(job, split, own_reader=own)
        text = f"{job.validation_split:g} of each class of the training data"
        yield Finding(about="--validation-split", text=text)
        return
    if not getattr(job, split) and (own or any(map(is_remote, job.train))):
        # A third split among it may turn up once it is here.
        if split == "test":
            text = "not given: the test split among --train"
            yield Finding(about="--test", text=text, level="note")
        return
    paths = selection.paths_of(job, split, own_reader=own)
    if paths is None:
        if split == "test":
            yield _no_test(job, validated=bool(job.validation or job.validation_split))
        return
    found = _examine_split(job, probes, paths, split=split)
    yield found
    shared = {*train.facts["paths"]} & {*found.facts["paths"]} if train else ()
    # One file may hold several splits under names of their own.
    if any(not files.holds_part([path], PARTS_OF[split]) for path in shared):
        yield Finding(
            about=f"--{split}",
            text="is part of the training data: its accuracy would mean little", level="note",
        )  # fmt: skip


def _no_test(job: Job, *, validated: bool) -> Finding:
    """Report that a job has no test data: a problem if it asks for an accuracy."""
    from trainer.data import selection

    try:
        selection.check_evaluated(job, evaluated=validated)
    except UserError as error:
        return of_error(error, remedy=selection.NAME_SOME)
    nothing = "nothing is tested at the end" if validated else "nothing is evaluated"
    return Finding(
        about="--test",
        text=f"not given, and --train holds no test split: {nothing}",
        level="note",
    )


def _examine_split(job: Job, probes: Probes, paths: Sequence[str], *, split: Split) -> Finding:
    """Report the files and examples at some paths.

    Raises:
        UserError: There are none, or they cannot be trained on.
    """
    about = f"--{split} {' '.join(paths)}"
    if any(map(is_remote, paths)):
        among = None if has_own_reader(job) else data_among
        return stores.examine_objects(
            paths, flag=f"--{split}", among=among, list_store=probes.list_store
        )
    from trainer.data import common_spec, files, read_options

    shape: tuple[int, ...] = ()
    paths = [local_path(path, flag=f"--{split}") for path in paths]
    if has_own_reader(job):
        found = [file for path in paths for file in scan_path(Path(path)).files]
        kind, examples, exact, notes = f"for {job.module}", None, True, ""
    else:
        data = files.find(paths, split=split)
        found, kind = data.paths, data.format.name
        total = sum(file.stat().st_size for file in found)
        notes = ""
        if total <= probes.whole_bytes and len(found) <= probes.whole_files:
            tables = files.open_tables(
                paths, split=split, skip_corrupt=job.skip_corrupt, options=read_options(job)
            )
            examples, exact = sum(map(len, tables)), True
            shape = common_spec(tables).shape
            damaged = [line for table in tables for line in table.damage]
            notes = f", {len(damaged)} damaged left out: {damaged[0]}" if damaged else ""
        else:
            estimate = data.estimate(sample_bytes=probes.sample_bytes)
            examples, exact = (estimate.examples, estimate.exact) if estimate else (None, True)
    total = sum(file.stat().st_size for file in found)
    count = "" if examples is None else f", {'' if exact else 'about '}{examples} examples"
    count += f" of {'×'.join(map(str, shape))}" if shape else ""
    number = f"{len(found)} file{'s'[: len(found) != 1]}"
    return Finding(
        about=about,
        text=f"{kind}, {number}{count}, {shown_size(total)}{notes}",
        level="note" if notes else "ok",
        facts={
            "kind": kind,
            "files": len(found),
            "examples": examples,
            "exact": exact,
            "image_shape": list(shape) or None,
            "bytes": total,
            "paths": [str(file) for file in found],
        },
    )
