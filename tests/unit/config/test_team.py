from dataclasses import dataclass
from pathlib import Path

import pytest

from trainer.config import (
    UserError,
    find_team_settings,
    option,
    resolve_options,
)


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    region: str | None = option(None, "the region", "place", variables=("AWS_REGION",))
    count: int = option(1, "how many", "place", low=1)
    spot: bool = option(False, "spot", "place")
    tags: tuple[str, ...] = option((), "tags", "place", many=True)


def written(folder: Path, text: str, name: str = "trainer.toml") -> Path:
    (folder / name).write_text(text)
    return folder


def resolved(folder: Path, *, flags=None, env=None):
    return resolve_options(
        PlaceOptions, table="place", flags=flags or {}, env=env or {},
        team=find_team_settings(folder),
    )  # fmt: skip


def test_a_flag_counts_before_a_variable_and_a_variable_before_the_file(tmp_path):
    folder = written(tmp_path, '[place]\nregion = "file"\ncount = 2\nspot = true\n')
    found = resolved(
        folder, flags={"count": 4}, env={"AWS_REGION": "variable", "TRAINER_PLACE_COUNT": "3"}
    )
    assert found.value == PlaceOptions(region="variable", count=4, spot=True)
    assert found.sources == {
        "region": "AWS_REGION", "count": "--count", "spot": f"{folder}/trainer.toml: [place] spot",
    }  # fmt: skip


def test_what_a_place_sets_counts_before_what_all_places_have(tmp_path):
    team = find_team_settings(
        written(tmp_path, 'region = "all"\ncount = 2\n[here]\nregion = "mine"\n')
    )

    def at(place: str, **env: str):
        return resolve_options(
            PlaceOptions, table="", flags={}, env=env, team=team, place=place
        )  # fmt: skip

    assert at("here").value == PlaceOptions(region="mine", count=2)
    assert at("here").sources["region"] == f"{tmp_path}/trainer.toml: [here] region"
    assert at("there").value == PlaceOptions(region="all", count=2)
    both = {"TRAINER_REGION": "variable", "TRAINER_HERE_REGION": "own variable"}
    assert at("here", **both).value.region == "own variable"
    assert at("there", **both).value.region == "variable"


def test_a_flag_out_of_its_range_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--count 0: expected a number of 1 or more"):
        resolved(tmp_path, flags={"count": 0})


def test_our_own_variable_is_read_where_the_platforms_is_not_set(tmp_path):
    assert resolved(tmp_path, env={"TRAINER_PLACE_REGION": "r"}).value.region == "r"
    both = {"TRAINER_PLACE_REGION": "r", "AWS_REGION": "theirs"}
    assert resolved(tmp_path, env=both).value.region == "theirs"


def test_a_variable_of_several_values_has_commas_between_them(tmp_path):
    assert resolved(tmp_path, env={"TRAINER_PLACE_TAGS": "a=1,b=2"}).value.tags == ("a=1", "b=2")


@pytest.mark.parametrize("text", ['[place]\ntags = ["a=1"]', "[place.tags]\na = 1"])
def test_pairs_are_a_list_or_a_table(tmp_path, text):
    assert resolved(written(tmp_path, text)).value.tags == ("a=1",)


def test_the_nearest_file_counts_and_pyproject_has_a_table_of_its_own(tmp_path):
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    written(tmp_path, '[tool.trainer.place]\nregion = "above"\n', "pyproject.toml")
    assert resolved(below).value.region == "above"
    written(tmp_path / "a", "[project]\nname = 'x'\n", "pyproject.toml")
    assert resolved(below).value.region == "above"
    written(tmp_path / "a", '[place]\nregion = "near"\n')
    assert resolved(below).value.region == "near"


def test_hyphens_and_underscores_are_one(tmp_path):
    team = find_team_settings(written(tmp_path, 'max-time = "2h"\n[place]\nx_y = 1\n'))
    assert team.tables == {"": {"max_time": "2h"}, "place": {"x_y": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[place]\nregoin = "x"\n', "[place] regoin: no such setting, did you mean region?"),
        ('[plaice]\nregion = "x"\n', "[plaice]: no such table, did you mean place?"),
        ("imge = 1\n", "imge: no such setting, did you mean image?"),
    ],
)
def test_a_name_that_nobody_reads_is_a_mistake(tmp_path, text, expected):
    known = {"": ["image"], "place": ["region", "count"]}
    with pytest.raises(UserError, match=r"trainer\.toml") as error:
        find_team_settings(written(tmp_path, text)).check_names(known)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[place]\ncount = "many"\n', "[place] count 'many': expected a whole number"),
        ("[place]\ncount = 0\n", "[place] count 0: expected a number of 1 or more"),
        ("[place]\nregion = 1\n", "[place] region 1: expected text"),
        ("[place]\ntags = 1\n", "[place] tags: expected a list of texts, found 1"),
        ("[place\n", "trainer.toml: expected TOML: "),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_line_that_names_file_and_setting(
    tmp_path, text, expected
):
    with pytest.raises(UserError) as error:
        resolved(written(tmp_path, text))
    assert expected in str(error.value)
    assert str(tmp_path) in str(error.value)
