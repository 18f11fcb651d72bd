import sys

import pytest

from trainer.config.registry import NamesOf, Registry

TABLE = Registry("json", {"decoder": "decoder:JSONDecoder", "module": "decoder", "no": "nowhere:X"})


def test_names_are_known_without_importing_what_bears_them():
    assert list(TABLE) == ["decoder", "module", "no"]
    assert "other" not in TABLE
    assert len(TABLE) == 3


def test_a_name_leads_to_an_attribute_or_to_the_module():
    import json.decoder

    assert TABLE["decoder"] is json.JSONDecoder
    assert TABLE["module"] is json.decoder


def test_what_is_not_in_the_table_or_not_there_is_an_error():
    with pytest.raises(KeyError):
        TABLE["other"]
    with pytest.raises(ModuleNotFoundError):
        TABLE["no"]


def test_choices_are_the_names_of_a_table_that_is_imported_late():
    names = NamesOf(f"{__name__}_late:TABLE")
    module = type(sys)(f"{__name__}_late")
    module.TABLE = TABLE
    sys.modules[module.__name__] = module
    try:
        assert list(names) == list(TABLE)
        assert "decoder" in names
        assert "other" not in names
        assert names[0] == "decoder"
        assert names[:2] == ("decoder", "module")
        assert len(names) == 3
    finally:
        del sys.modules[module.__name__]
