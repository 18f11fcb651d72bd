"""Any job that flags can describe, and what a SageMaker container makes of its request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from option_values import EXCLUSIVE, FORMS, option_values

from trainer.config.flags import job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of
from trainer.platforms.base import Environment
from trainer.platforms.sagemaker.options import SageMakerOptions
from trainer.platforms.sagemaker.request import TrainingRequest, training_request
from trainer.platforms.submission import Submission

ROLE = "arn:aws:iam::123456789012:role/service-role/Trains"
# The settings of a submission that every place has.
COMMON = {"name", "image", "hosts", "parameter_servers", "evaluators", "max_seconds", "spot",
          "tags", "env", "output", "secret"}  # fmt: skip


def request(flags: dict[str, Any] | None = None, **settings: Any) -> TrainingRequest:
    """Return the request of a job with some flags, and settings of the submission or the place."""
    settings = {"name": "job-1", "image": "image", "output": "s3://bucket/out", "role": ROLE,
                **settings}  # fmt: skip
    return training_request(
        Submission(
            job=job_from_flags(flags or {}), given=frozenset(flags or {}),
            **{name: value for name, value in settings.items() if name in COMMON},
        ),
        SageMakerOptions(**{n: value for n, value in settings.items() if n not in COMMON}),
    )  # fmt: skip


addresses = st.builds(
    lambda path: f"s3://bucket/{path}", st.from_regex(r"[a-z]{1,6}", fullmatch=True)
)
# Fields whose values are of a form that SageMaker's jobs have.
OWN_FORMS: dict[str, Any] = {
    **FORMS,
    "classes": st.sampled_from(["7", "1000"]),
    "train": st.lists(addresses, min_size=1, max_size=3, unique=True).map(tuple),
    "test": st.lists(addresses, min_size=1, max_size=3, unique=True).map(tuple),
    "validation": st.lists(addresses, min_size=1, max_size=3, unique=True).map(tuple),
    "input": addresses,
    "log_dir": st.just("s3://bucket/logs"),
    "timeline": st.just("runs/timeline.json"),
    "autotune_log": st.just("tuned.csv"),
    "module": st.sampled_from(["mine.models", "s3://bucket/code/mine.py"]),
}


# SageMaker sets these itself.
ITS_OWN = {"model_dir", "output_dir", "job_dir", "checkpoint_dir", "layout"}


@st.composite
def any_flags(draw: st.DrawFn) -> dict[str, Any]:
    """Return the values of flags, by field, that make a job."""
    every = {name: part for part in (Hparams, Job) for name in options_of(part)}
    chosen = draw(st.sets(st.sampled_from(sorted({*every} - ITS_OWN))))
    for one, other in EXCLUSIVE:
        chosen -= {other} if one in chosen else set()
    if chosen & {"test", "validation"}:
        chosen |= {"train"}
    if "hp" in chosen:
        # Only a module of one's own has such.
        chosen |= {"module"}
    return {name: draw(option_values(every[name], name, OWN_FORMS)) for name in sorted(chosen)}


def started(start: Any, root: Path) -> Environment:
    """Return what the container finds, with the variables of the training toolkit."""
    ml = f"{root}/opt/ml"
    for path, text in start.files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace('"/opt/ml/', f'"{ml}/').replace('\\"/opt/ml/', f'\\"{ml}/'))
    config = {p.rpartition("/")[2].partition(".")[0]: json.loads(t) for p, t in start.files.items()}
    channels, resources = config["inputdataconfig"], config["resourceconfig"]
    for channel in channels:
        folder = root / "opt/ml/input/data" / channel
        folder.mkdir(parents=True)
        (folder / "data").touch()
    env = {
        **start.env,
        "SM_MODEL_DIR": f"{ml}/model",
        "SM_OUTPUT_DATA_DIR": f"{ml}/output/data",
        "SM_HOSTS": json.dumps(resources["hosts"]),
        "SM_CURRENT_HOST": resources["current_host"],
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_RESOURCE_CONFIG": json.dumps(resources),
        "SM_INPUT_DATA_CONFIG": json.dumps(channels),
        **{f"SM_CHANNEL_{name.upper()}": f"{ml}/input/data/{name}" for name in channels},
    }
    return Environment(env=env, argv=start.argv, root=root)
