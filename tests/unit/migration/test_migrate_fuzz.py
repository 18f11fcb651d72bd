"""No file, however odd, ends in a traceback or takes for ever."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from trainer.config.errors import UserError
from trainer.migration.conversion import migrate
from trainer.migration.estimator import SPECIAL
from trainer.migration.keywords import KEYWORDS, RENAMED
from trainer.migration.rendering import script_lines

KEYS = sorted({*KEYWORDS, *RENAMED, *SPECIAL})
literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["s3://b/x", "local", "ml.p3.2xlarge", "steps", "train", "-x", "$HOME", "'"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["steps", "enabled", "mpi", "Key", "train"]), inner)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
).map(repr)  # fmt: skip
expressions = st.recursive(
    literals.filter(lambda text: "nan" not in text and "inf" not in text)
    | st.sampled_from(["role", "a.b", "f()", "x['y']", "os.environ['Z']", "lambda: 1", "1 / 0"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", "**", "%", "|", "or", "-"]), inner).map(
            lambda p: f"({p[0]}) {p[1]} ({p[2]})"
        ),
        inner.map(lambda text: f"[{text}]"),
        inner.map(lambda text: f"dict(a={text})"),
        inner.map(lambda text: f"({text}).format({text})"),
        inner.map(lambda text: f"f'{{{text.count('x')}}}x'"),
        inner.map(lambda text: f"os.path.join({text}, 'x')"),
        inner.map(lambda text: f"TrainingInput({text}, input_mode={text})"),
    ),
    max_leaves=4,
)
pairs = st.dictionaries(st.sampled_from(KEYS), expressions, max_size=5)


@st.composite
def scripts(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["TensorFlow", "Estimator", "ModelTrainer", "MXNet"]))
    given = ", ".join(f"{name}={value}" for name, value in draw(pairs).items())
    lines = [f"e = {kind}({given})", f"e.fit({draw(expressions)})"]
    if draw(st.booleans()):
        lines.append(f"t = HyperparameterTuner(e, {draw(expressions)}, {draw(expressions)})")
        lines.append(f"t.fit({draw(expressions)})")
    lines.append(f"e.deploy({draw(expressions)}, {draw(expressions)}, kms_key={draw(expressions)})")
    lines.append(f"e.transformer(1, 'x').transform({draw(expressions)})")
    lines.insert(0, f"x = {draw(expressions)}")
    return "\n".join(lines)


def lines_of(path: Path, **more: str) -> list[str] | None:
    try:
        return [*script_lines(migrate(path, **more), lambda words: None)]
    except UserError as error:
        assert "\n" not in str(error)
        return None


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(text=scripts(), place=st.sampled_from(["sagemaker", "vertex", "kubernetes", "docker"]))
def test_any_values_become_lines_that_a_shell_can_read(text, place, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.py"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    found = lines_of(path, to=place)
    if found is not None:
        commands = [line for line in found if not line.startswith("#")]
        shlex.split("\n".join(commands))


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(data=st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_read_or_refused_in_one_line(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.py"
    path.write_text(data, encoding="utf-8", errors="surrogatepass")
    lines_of(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["cells", "worksheets", "source", "cell_type", "input"]),
        inner | st.sampled_from(["code", ["e = Estimator()\n", "e.fit()"]]), max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(value=json_values)
def test_any_notebook_is_read_or_refused_in_one_line(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.ipynb"
    path.write_text(json.dumps(value))
    lines_of(path)


HOSTILE = {
    "calls": "a" + ".b()" * 300,
    "doubling": "x = ['a' * 9]\n" + "x = x + x\n" * 200 + "Estimator(hyperparameters={'a': x})",
    "nested": "x = []\n" + "x = [x, x]\n" * 200 + "Estimator(hyperparameters={'a': x}).fit(x)",
    "itself": "x = {}\nx['x'] = x\nEstimator(hyperparameters=x, environment=x).fit(x)",
    "power": "x = 9 ** 9 ** 9 ** 9\nx = 'a' * 10 ** 10\nEstimator(volume_size=x)",
    "functions": "".join(f"def f{n}(): return f{n + 1}(), f{n + 1}()\n" for n in range(40))
    + "f0()\nEstimator()",
    "text": "x = 'ab'\n" + "x = x + x\n" * 60 + "x = f'{x}{x}'\nEstimator(role=x)",
    "replaced": "x = 'aaaaaaaa'\n" + "x = x.replace('a', 'aaaaaaaaaaaaaaaa')\n" * 9
    + "Estimator(role=x)",
    "surrogate": "Estimator(role='\\ud800', environment={'A': '\\x00'})",
    "hexadecimal": f"Estimator(volume_size=0x{'f' * 9000}, role=f'{{0x{'f' * 9000}}}')",
}  # fmt: skip


@pytest.mark.parametrize("name", [*HOSTILE])
def test_a_hostile_script_is_read_in_bounds(name, tmp_path):
    path = tmp_path / "hostile.py"
    path.write_text(HOSTILE[name])
    # In a process of its own, as a loop in the parser cannot be interrupted otherwise.
    ran = subprocess.run(
        [sys.executable, "-m", "trainer", "migrate", str(path)], timeout=60, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode in (0, 2), ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(ran.stdout) < 100_000


def test_what_is_printed_is_a_script_that_a_shell_runs(tmp_path):
    """Quotes, dollars and line ends of a script mean nothing to the shell."""
    value = 'it\'s "$HOME" `id` $(id) \\ !x\n*'
    path = tmp_path / "train.py"
    path.write_text(
        f"import sagemaker.estimator\nb = input()\ne = sagemaker.estimator.Estimator('i', "
        f"{value!r}, 1, 'ml.m5.large', environment={{'A': {value!r}, 'B': b + {value!r}}})\n"
    )
    lines = lines_of(path)
    assert lines is not None
    script = "trainer() { printf '%s\\0' \"$@\"; }\n" + "\n".join(lines)
    ran = subprocess.run(
        ["bash", "-eu", "-c", script], env={"B": "b c", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    words = ran.stdout.split("\0")
    assert words[words.index("--role") + 1] == value
    assert f"A={value}" in words
    assert f"B=b c{value}" in words


def test_a_variable_that_is_not_set_ends_the_script_with_what_it_is(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("Estimator('i', get_execution_role(\"a'}b\"), 1, 'x').fit()")
    lines = lines_of(path)
    assert lines is not None
    ran = subprocess.run(
        ["bash", "-c", "\n".join(lines)], env={}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "ROLE: get_execution_role(" in ran.stderr
    assert "train.py:1" in ran.stderr


def test_nothing_of_the_file_is_run(tmp_path):
    mark = tmp_path / "mark"
    path = tmp_path / "train.py"
    path.write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
        f"x = [open({str(mark)!r}, 'w') for _ in 'a']\nEstimator(role=__import__('os').getcwd())"
    )
    assert lines_of(path)
    assert not mark.exists()
    assert ast.parse(path.read_text())
