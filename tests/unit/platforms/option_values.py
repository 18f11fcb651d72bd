"""Values that options of a job take, for tests that send any job through a platform and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from trainer.config.options import option_types, options_of

# Flags hold text without NUL, and that UTF-8 can encode.
words = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1)
names = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9_-]{0,8}", fullmatch=True)
# Text of a form of its own, and the same at every place.
FORMS: Mapping[str, st.SearchStrategy[Any]] = {
    "early_stop": st.sampled_from(["3", "5:0.001"]),
    "profile": st.sampled_from(["2:7", "10:20"]),
    "image_size": st.sampled_from(["32,24", "8,8"]),
    "pixel_range": st.sampled_from(["0,255", "-1,1"]),
    "metric": st.sampled_from(["loss:min", "top_5:max"]),
    "feature": st.just(("image=img_bytes", "label=digit")),
    "hp": st.dictionaries(names, words, min_size=1, max_size=4).map(lambda d: tuple(d.items())),
}
EXCLUSIVE = (("steps", "epochs"), ("validation", "validation_split"))


def option_values(
    part: type, name: str, forms: Mapping[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    """Return values of an option: those of a form, else all that its type and limits allow."""
    option, kind = options_of(part)[name], option_types(part)[name]
    if name in forms:
        return forms[name]
    if option.choices:
        return st.sampled_from([*option.choices])
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(option.low), int(option.high))
    if kind is float:
        return st.floats(option.low, option.high, exclude_min=option.above)
    return st.lists(words, min_size=1, max_size=3).map(tuple) if option.many else words
