"""Jobs of all kinds for property tests, by the options of `Job` and `Hparams`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from trainer.config.errors import UserError
from trainer.config.flags import job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import Option, option_types, options_of
from trainer.platforms.submission import Submission, given_options

# Texts with what shells, lists and templates treat in ways of their own.
TEXT = st.text(
    st.sampled_from("abcXYZ019 ,;:=/^$()'\"{}[]|%&\\~äß–én"), min_size=1, max_size=20
).filter(lambda text: not text.startswith("-") and text.strip() == text)
# Texts that are read further, so that not all are allowed.
FORMS: dict[str, st.SearchStrategy[Any]] = {
    "metric": st.sampled_from(["accuracy:max", "loss:min"]),
    "early_stop": st.sampled_from(["3", "5:0.001"]),
    "image_size": st.sampled_from(["28,28", "32,64"]),
    "pixel_range": st.sampled_from(["0,255", "-1,1"]),
    "classes": st.sampled_from(["10", "gs://b/names.txt"]),
    "feature": st.just(("image=img_bytes", "label=digit")),
    "profile": st.just("5:8"),
    "hp": st.dictionaries(st.sampled_from(["rate", "depth"]), TEXT).map(lambda d: tuple(d.items())),
    "timeline": st.just("/tmp/timeline.json"),
    "autotune_log": st.just("/tmp/autotune.csv"),
}


def value_of(name: str, option: Option, kind: type, folder: str) -> st.SearchStrategy[Any]:
    """Return the values of one option; those of folders are urls of `folder`."""
    if name in FORMS:
        return FORMS[name]
    if name.endswith(("_dir", "input")) or name in ("train", "test", "validation"):
        url = st.sampled_from(["a", "b c", "d,e", "f=g"]).map(lambda part: f"{folder}/{part}")
        return st.lists(url, min_size=1, max_size=3).map(tuple) if option.many else url
    if option.choices:
        return st.sampled_from([*option.choices])
    if kind is bool:
        return st.booleans()
    low, high = max(option.low, -1e6), min(option.high, 1e6)
    if kind is int:
        return st.integers(int(low) + option.above, int(high))
    if kind is float:
        return st.floats(low, high, exclude_min=option.above, allow_nan=False)
    return st.lists(TEXT, min_size=1, max_size=3).map(tuple) if option.many else TEXT


@st.composite
def submissions(draw: st.DrawFn, folder: str, image: str = "image:cpu") -> Submission:
    """Return a submission with any options and hosts that fit to each other.

    Args:
        draw: Draws a value.
        folder: The url that all folders and data are below.
        image: The image.
    """
    known = {
        name: value_of(name, option, option_types(part)[name], folder)
        for part in (Hparams, Job)
        for name, option in options_of(part).items()
    }
    names = draw(st.sets(st.sampled_from(sorted(known)), max_size=len(known)))
    names -= {"epochs"} if "steps" in names else set()
    names -= {"validation_split"} if "validation" in names else set()
    # A user's hyperparameters need a user's module.
    names |= {"module"} if "hp" in names else set()
    values = {name: draw(known[name]) for name in sorted(names)}
    roles = {"parameter_server": (3, 2, 1), "none": (1, 0, 0), "mirrored": (1, 0, 0)}
    hosts, servers, evaluators = roles.get(values.get("distribution"), (4, 0, 0))
    try:
        job = job_from_flags(values)
    except UserError:
        # What only some pairs of options allow.
        return draw(st.nothing())
    return Submission(
        job=job,
        given=given_options(values),
        name="run-1",
        image=image,
        hosts=draw(st.integers(1, hosts)),
        parameter_servers=draw(st.integers(min(1, servers), servers)),
        evaluators=draw(st.integers(0, evaluators)),
        env=draw(st.dictionaries(st.sampled_from(["A", "B_2"]), TEXT)),
        secret=draw(st.none() | st.just("s3cret,$(A)")),
        output=folder,
    )
