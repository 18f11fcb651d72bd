import pytest

from trainer.config.errors import UserError
from trainer.packaging.user_code import code_files

BOTH = "def input_handler(data, context): ...\ndef output_handler(data, context): ...\n"


@pytest.mark.parametrize(
    "script",
    [
        BOTH,
        "def handler(data, context): ...\n",
        "from mine import handler\n",
        "from mine import a as input_handler, b as output_handler\n",
        "handler = lambda data, context: None\n",
        "from mine import *\n",
        "if True:\n    def handler(data, context): ...\n",
        "try:\n    from fast import handler\nexcept ImportError:\n    from mine import handler\n",
    ],
)
def test_handlers_are_found_however_they_are_defined(tmp_path, script):
    (tmp_path / "inference.py").write_text(script)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/mine.py").write_text("")
    assert list(code_files(tmp_path, handlers=True)) == ["inference.py", "lib/mine.py"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def input_handler(data, context): ...\n", "has no function handler, nor input_handler"),
        ("def handler(:\n", r"inference\.py: invalid syntax"),
        ("raise SystemExit\n", "has no function handler"),
        ("class A:\n    def handler(self, data, context): ...\n", "has no function handler"),
        ("def f():\n    def handler(data, context): ...\n", "has no function handler"),
        ("\0", r"inference\.py: "),
    ],
)
def test_a_script_that_the_container_could_not_use_is_refused_without_running_it(
    tmp_path, script, expected
):
    (tmp_path / "inference.py").write_text(script)
    with pytest.raises(UserError, match=f"--code {tmp_path}: .*{expected}") as caught:
        code_files(tmp_path, handlers=True)
    assert "\n" not in str(caught.value)
    assert list(code_files(tmp_path, handlers=False)) == ["inference.py"]


def test_missing_empty_and_wrong_folders_are_told(tmp_path):
    with pytest.raises(UserError, match="none: not a folder"):
        code_files(tmp_path / "none", handlers=True)
    with pytest.raises(UserError, match="holds no files"):
        code_files(tmp_path, handlers=True)
    (tmp_path / "infer.py").write_text("")
    with pytest.raises(UserError, match=r"has no inference\.py; found infer\.py"):
        code_files(tmp_path, handlers=True)
