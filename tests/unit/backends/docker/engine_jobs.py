"""Any job that flags can describe, with files of this machine, and the same job in a container."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import strategies as st
from option_values import EXCLUSIVE, FORMS, option_values

from trainer.backends.engine.container import Mount
from trainer.config.flags import job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of
from trainer.platforms.submission import Submission

# Names of files that mean something to shells, to CSV, to YAML or to Compose.
files = st.from_regex(r"""[a-z][-a-z ,$'"{}=@#!%&~é]{0,8}[a-z]""", fullmatch=True)

OWN_FORMS: dict[str, Any] = {
    **FORMS,
    "mlflow_uri": st.sampled_from(["http://tracking:5000", "runs/ml", "databricks"]),
}
OUTPUTS = ("job_dir", "model_dir", "output_dir", "checkpoint_dir", "log_dir", "timeline",
           "autotune_log")  # fmt: skip


def make_files(root: Path) -> None:
    """Make the data and modules that jobs name."""
    for name in ("data/a,b $x/one.npy", "data/it's/two.csv", "nets/mine.py", "pack/__init__.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "pack/net.py").write_text("")
    (root / "link.npy").symlink_to(root / "data/a,b $x/one.npy")


def values(part: type, name: str, root: Path) -> st.SearchStrategy[Any]:
    """Return values of an option, all that are of no form of their own."""
    data = st.sampled_from(
        [f"{root}/data/a,b $x", f"{root}/data/it's/two.csv", f"{root}/data/*/*.npy",
         f"{root}/link.npy", "s3://bucket/data", f"{root}/nets/../data/it's"]
    )  # fmt: skip
    if name in ("train", "test", "validation"):
        return st.lists(data, min_size=1, max_size=3, unique=True).map(tuple)
    if name == "input":
        return data
    if name == "classes":
        return st.sampled_from(["7", "1000", f"{root}/data/it's/two.csv"])
    if name == "module":
        return st.sampled_from(
            [f"{root}/nets/mine.py", f"{root}/pack", f"{root}/pack/net.py", "not.here"]
        )
    if name in OUTPUTS:
        local = st.builds(lambda a, b: f"{root}/out/{a}/{b}", files, files)
        return local if name in ("timeline", "autotune_log") else local | st.just("s3://bucket/out")
    return option_values(part, name, OWN_FORMS)


@st.composite
def any_flags(draw: st.DrawFn, root: Path) -> dict[str, Any]:
    """Return the values of flags, by field, that make a job."""
    every = {name: part for part in (Hparams, Job) for name in options_of(part)}
    chosen = draw(st.sets(st.sampled_from(sorted(every))))
    for one, other in EXCLUSIVE:
        chosen -= {other} if one in chosen else set()
    if "hp" in chosen:
        # Only a module of one's own has such.
        chosen |= {"module"}
    flags = {name: draw(values(every[name], name, root)) for name in sorted(chosen)}
    if flags.get("shard_by") == "host" and flags.get("distribution") == "parameter_server":
        del flags["shard_by"]
    return flags


def submission_of(flags: dict[str, Any], **more: Any) -> Submission:
    return Submission(
        job=job_from_flags(flags), given=frozenset(flags), image="trainer:cpu",
        **{"name": "job-1", **more},
    )  # fmt: skip


def outside(path: str, mounts: Sequence[Mount]) -> str:
    """Return the path on this machine of a path in a container."""
    for mount in sorted(mounts, key=lambda m: -len(m.target)):
        inside = PurePosixPath(path)
        if inside.is_relative_to(mount.target):
            return os.path.normpath(Path(mount.source, inside.relative_to(mount.target)))
    return path


PATHS = ("train", "test", "validation", "input", "classes", "module", *OUTPUTS, "mlflow_uri")


def assert_same(found: Job, wanted: Job, given: set[str], mounts: Sequence[Mount]) -> None:
    """Compare all options that were given, by the files of this machine that paths name."""
    for part in (Hparams, Job):
        for name in options_of(part):
            if name in given:
                one, other = (job.hparams if part is Hparams else job for job in (found, wanted))
                assert _here(getattr(one, name), name, mounts) == _local(getattr(other, name), name)


def _here(value: Any, name: str, mounts: Sequence[Mount]) -> Any:
    if name not in PATHS or value is None:
        return value
    return tuple(outside(v, mounts) for v in ((value,) if isinstance(value, str) else value))


def _local(value: Any, name: str) -> Any:
    if name not in PATHS or value is None:
        return value
    each = (value,) if isinstance(value, str) else value
    plain = {"7", "1000", "not.here", "databricks"}
    return tuple(
        v if "://" in v or v in plain else os.path.normpath(Path(v).absolute()) for v in each
    )
