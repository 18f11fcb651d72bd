"""The data: what there is of it, counted without reading much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import Job, UserError
from trainer.data import data_among, scan_path, titles
from trainer.doctor import stores
from trainer.doctor.findings import Finding, Level, of_error, problem
from trainer.doctor.probes import Probes, size
from trainer.platforms import PLATFORMS
from trainer.storage import is_remote, local_path

if TYPE_CHECKING:
    from trainer.config import Split

# Data up to this size is opened as training does, which finds damage; of more, headers are read.
WHOLE_BYTES, WHOLE_FILES = 64 << 20, 64
# Of each file that is looked into for an estimate.
SAMPLE_BYTES = 1 << 20


def _examine_model(job: Job, probes: Probes) -> Finding:
    """What an import would find."""
    from trainer.packaging import choose, read_contents

    if not job.input:
        return problem("--input", "not given", "name the model to import, or a channel `input`")
    if is_remote(job.input):
        look_at = probes.list_store
        told = stores.examine_objects([job.input], flag="--input", among=None, look=look_at)
        return replace(told, about="--input", text=f"{job.input}: {told.text}")
    try:
        found = choose(read_contents(Path(local_path(job.input, flag="--input")), name=job.input))
    except UserError as error:
        return problem("--input", str(error), "trainer package --inspect tells more")
    place = f", {found.place}" if found.place else ""
    return Finding(about="--input", text=f"{job.input}{place}: {found.kind}")


def _remedy() -> str:
    return f"name files, folders or globs of {titles()}"


def examine_data(job: Job, probes: Probes, *, unknown: Collection[str]) -> Iterator[Finding]:
    """Both splits, each with kind, files, examples and bytes, or what is wrong with it.

    Args:
        job: What to train on.
        probes: How stores are asked.
        unknown: Fields of the job that are not as they were meant.
    """
    from trainer.data import selection

    if job.import_model:
        try:
            yield _examine_model(job, probes)
        except UserError as error:
            yield of_error(error, remedy="name the model to import")
        return
    if "train" in unknown:
        yield Finding(about="data", text="not known, see the problem above", level="note")
        return
    if not job.train:
        if job.module != Job.module:
            yield Finding(about="--train", text="nothing given, the module may bring its own data")
        elif job.test:
            yield problem("--train", "not given, but --test is", "name both")
        else:
            text, remedy = (
                "nothing given, synthetic digits would be used",
                "name data with --train DIR",
            )
            # On a plain machine that is how one begins; a platform was to bring data.
            level: Level = "note" if PLATFORMS[job.platform].is_fallback else "problem"
            yield Finding(about="--train", text=text, level=level, remedy=remedy)
        return
    train: Finding | None = None
    try:
        train = _examine_split(job, probes, job.train, split="train")
    except UserError as error:
        yield of_error(error, remedy=_remedy())
        if not job.test:
            return
    else:
        yield train
    if "test" in unknown:
        return
    if not job.test and (job.module != Job.module or any(map(is_remote, job.train))):
        yield Finding(about="--test", text="not given: the test split among --train", level="note")
        return
    try:
        test = _examine_split(job, probes, selection.test_paths(job), split="test")
    except UserError as error:
        yield of_error(error, remedy=_remedy())
        return
    yield test
    if train and set(train.facts["paths"]) & set(test.facts["paths"]):
        yield Finding(
            about="--test", text="is part of the training data: its accuracy would mean little",
            level="note",
        )  # fmt: skip


def _examine_split(job: Job, probes: Probes, paths: Sequence[str], *, split: Split) -> Finding:
    """What some paths hold.

    Raises:
        UserError: Nothing, or data that cannot be trained on.
    """
    about = f"--{split} {' '.join(paths)}"
    if any(map(is_remote, paths)):
        among = data_among if job.module == Job.module else None
        return stores.examine_objects(paths, flag=f"--{split}", among=among, look=probes.list_store)
    from trainer.data import files

    paths = [local_path(path, flag=f"--{split}") for path in paths]
    if job.module != Job.module:
        found = [file for path in paths for file in scan_path(Path(path)).files]
        kind, examples, exact, notes = f"for {job.module}", None, True, ""
    else:
        data = files.find(paths, split=split)
        found, kind = data.paths, data.format.name
        total = sum(file.stat().st_size for file in found)
        notes = ""
        if total <= WHOLE_BYTES and len(found) <= WHOLE_FILES:
            tables = files.open_tables(paths, split=split, skip_corrupt=job.skip_corrupt)
            examples, exact = sum(map(len, tables)), True
            damaged = [line for table in tables for line in table.damage]
            notes = f", {len(damaged)} damaged left out: {damaged[0]}" if damaged else ""
        else:
            estimate = data.estimate(sample_bytes=SAMPLE_BYTES)
            examples, exact = (estimate.examples, estimate.exact) if estimate else (None, True)
    total = sum(file.stat().st_size for file in found)
    count = "" if examples is None else f", {'' if exact else 'about '}{examples} examples"
    return Finding(
        about=about,
        text=f"{kind}, {len(found)} file{'s'[: len(found) != 1]}{count}, {size(total)}{notes}",
        level="note" if notes else "ok",
        facts={
            "kind": kind,
            "files": len(found),
            "examples": examples,
            "exact": exact,
            "bytes": total,
            "paths": [str(file) for file in found],
        },
    )
