"""The data: what there is of it, counted without reading much."""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.config import DataError, Job, UserError
from trainer.data import data_among, look
from trainer.doctor import stores
from trainer.doctor.findings import Finding, Level, of_error, problem
from trainer.doctor.probes import Probes, size
from trainer.storage import is_remote, local_path

if TYPE_CHECKING:
    from trainer.config import Split

# Data up to this size is opened as training does, which finds damage; of more, headers are read.
WHOLE_BYTES, WHOLE_FILES = 64 << 20, 64
SAMPLED_FILES, SAMPLE_BYTES = 16, 1 << 20
REMEDY = "name files, folders or globs of TFRecord, IDX or npy"


def _tell_model(job: Job, probes: Probes) -> Finding:
    """What an import would find."""
    from trainer.packaging import choose, read_contents

    if not job.input:
        return problem("--input", "not given", "name the model to import, or a channel `input`")
    if is_remote(job.input):
        look_at = probes.list_store
        told = stores.tell_data([job.input], flag="--input", among=None, look=look_at)
        return replace(told, about="--input", text=f"{job.input}: {told.text}")
    try:
        found = choose(read_contents(Path(local_path(job.input, flag="--input")), name=job.input))
    except UserError as error:
        return problem("--input", str(error), "trainer package --inspect tells more")
    place = f", {found.place}" if found.place else ""
    return Finding(about="--input", text=f"{job.input}{place}: {found.kind}")


def tell_data(job: Job, probes: Probes, *, unknown: Collection[str]) -> Iterator[Finding]:
    """Both splits, each with kind, files, examples and bytes, or what is wrong with it.

    Args:
        job: What to train on.
        probes: How stores are asked.
        unknown: Fields of the job that are not as they were meant.
    """
    from trainer.data import selection

    if job.import_model:
        try:
            yield _tell_model(job, probes)
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
            level: Level = "note" if job.platform == "local" else "problem"
            yield Finding(about="--train", text=text, level=level, remedy=remedy)
        return
    train: Finding | None = None
    try:
        train = _look(job, probes, job.train, split="train")
    except UserError as error:
        yield of_error(error, remedy=REMEDY)
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
        test = _look(job, probes, selection.test_paths(job), split="test")
    except UserError as error:
        yield of_error(error, remedy=REMEDY)
        return
    yield test
    if train and set(train.facts["paths"]) & set(test.facts["paths"]):
        yield Finding(
            about="--test", text="is part of the training data: its accuracy would mean little",
            level="note",
        )  # fmt: skip


def _look(job: Job, probes: Probes, paths: Sequence[str], *, split: Split) -> Finding:
    """What some paths hold.

    Raises:
        UserError: Nothing, or data that cannot be trained on.
    """
    about = f"--{split} {' '.join(paths)}"
    if any(map(is_remote, paths)):
        among = data_among if job.module == Job.module else None
        return stores.tell_data(paths, flag=f"--{split}", among=among, look=probes.list_store)
    from trainer.data import files

    paths = [local_path(path, flag=f"--{split}") for path in paths]
    if job.module != Job.module:
        found = [file for path in paths for file in look(Path(path)).files]
        kind, examples, exact, notes = f"for {job.module}", None, True, ""
    else:
        kinds = files.find(paths, split=split)
        found = [file for group in kinds.values() for file in group]
        kind = next(iter(kinds)).split()[0]
        total = sum(file.stat().st_size for file in found)
        notes = ""
        if total <= WHOLE_BYTES and len(found) <= WHOLE_FILES:
            tables = files.open_tables(paths, split=split, skip_corrupt=job.skip_corrupt)
            examples, exact = sum(map(len, tables)), True
            damaged = [line for table in tables for line in table.damage]
            notes = f", {len(damaged)} damaged left out: {damaged[0]}" if damaged else ""
        else:
            examples, exact = _estimate(kinds, total)
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


def _estimate(kinds: dict[str, list[Path]], total: int) -> tuple[int, bool]:
    """The number of examples by headers alone, and whether it is exact.

    Raises:
        DataError: A header is damaged.
    """
    from trainer.data import idx, npy

    if "npy images" in kinds:
        return sum(npy.header(file)[0][0] for file in kinds["npy images"]), True
    if "idx images" in kinds:
        # What `find` took for one has such a header.
        heads = (_head(file, idx.LONGEST_HEADER) for file in kinds["idx images"])
        return sum((idx.dimensions(head) or (0,))[0] for head in heads), True
    records = covered = 0
    files = kinds["tfrecord"]
    for file in files[:: -(-len(files) // SAMPLED_FILES)]:
        count, spanned = _walk(_head(file, SAMPLE_BYTES))
        if not count:
            raise DataError(
                subject=file,
                problem="the first record's length is damaged",
                remedy="fetch the file again",
            )
        records, covered = records + count, covered + spanned
    return round(total * records / covered), False


def _walk(raw: bytes) -> tuple[int, int]:
    """How many records begin in `raw`, and how many bytes they take, the last one whole."""
    from trainer.data import FOOTER, HEADER, header_length

    count = at = 0
    while (length := header_length(raw[at : at + HEADER])) is not None:
        at += HEADER + length + FOOTER
        count += 1
    return count, at


def _head(file: Path, length: int) -> bytes:
    with file.open("rb") as raw:
        head = raw.read(length)
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(file) as unpacked:
            return unpacked.read(length)
    return head
