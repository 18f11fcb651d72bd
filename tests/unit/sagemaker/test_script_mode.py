import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.launch.supervise.api import run_supervised
from trainer.sagemaker.script_mode import arguments, prepare

SHOW = "import json, os, sys; print(json.dumps([sys.argv, os.getcwd()]))\n"


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def put(folder: Path, **contents: str) -> Path:
    for name, text in contents.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_sh", ".sh")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes] | Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, Path):
                archive.add(member, arcname=".")
            else:
                archive.addfile(member[0], io.BytesIO(member[1]))
    return path


def member(name: str, data: bytes = b"x", **fields) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    info.size = 0 if fields.get("type") else len(data)
    return info, data if info.size else b""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which pip reaches nothing and changes nothing."""
    site = str(tmp_path / "site")
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        **inherited,
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_COMPILE": "1",
        "PIP_TARGET": site,
        "PYTHONPATH": site,
    }


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return tmp_path / "ml" / "code"


@pytest.fixture
def call(code: Path, env: dict[str, str]):
    def call(program: str, place: Path | str | None = None, **more):
        return prepare(
            **{
                "program": program,
                "submit_directory": None if place is None else str(place),
                "code_dir": code,
                "hyperparameters": {},
                "env": env,
                **more,
            }
        )

    return call


@pytest.fixture
def run(call, capfd):
    """Prepare and run it: its exit code and what it printed last."""

    def run(*args, **more):
        command = call(*args, **more)
        capfd.readouterr()
        outcome = run_supervised([command], grace=5, prefix=False)
        return outcome.code, capfd.readouterr().out

    return run


# ---- arguments


HYPERPARAMETERS = {
    "epochs": 3,
    "learning-rate": 0.5,
    "b": 7,
    "name": "two words",
    "quotes": 'it\'s "so"',
    "shell": "$(touch x); `touch x` && rm -rf / | cat > y",
    "lines": "one\ntwo\ttabs",
    "unicode": "größe 数 🙂",
    "empty": "",
    "none": None,
    "on": True,
    "off": False,
    "list": [1, "two words", None, 0.5],
    "dict": {"b": 2, "a": [1], "c": None},
    "nested": {"x": {"y": 1}},
    "number": "007",
    "minus": "-1",
    "float": 1e-05,
    "sagemaker_program": "train.py",
    "sagemaker_submit_directory": "s3://bucket/x",
    "sagemaker_parameter_server_enabled": True,
    "sagemaker_future_key": 1,
    "_tuning_objective_metric": "loss",
    "default_user_module_name": "x",
}


def test_arguments_are_those_of_the_toolkit():
    assert arguments(HYPERPARAMETERS) == (
        *("-b", "7"),
        *("--dict", "a=[1],b=2,c=None"),
        *("--empty", ""),
        *("--epochs", "3"),
        *("--float", "1e-05"),
        *("--learning-rate", "0.5"),
        *("--lines", "one\ntwo\ttabs"),
        *("--list", "[1, 'two words', None, 0.5]"),
        *("--minus", "-1"),
        *("--name", "two words"),
        *("--nested", "x={'y': 1}"),
        *("--none", ""),
        *("--number", "007"),
        *("--off", "False"),
        *("--on", "True"),
        *("--quotes", 'it\'s "so"'),
        *("--shell", "$(touch x); `touch x` && rm -rf / | cat > y"),
        *("--unicode", "größe 数 🙂"),
    )


def test_arguments_are_what_the_toolkit_itself_makes():
    mapping = pytest.importorskip("sagemaker_training.mapping")
    params = pytest.importorskip("sagemaker_training.params")
    ours = mapping.split_by_criteria(
        HYPERPARAMETERS, keys=params.SAGEMAKER_HYPERPARAMETERS, prefix=params.SAGEMAKER_PREFIX
    ).excluded
    assert list(arguments(HYPERPARAMETERS)) == mapping.to_cmd_args(ours)


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_cannot_be_an_argument_is_told_without_its_value(value):
    with pytest.raises(UserError, match=r"^hyperparameter 'name': ") as caught:
        arguments({"name": value})
    assert value not in str(caught.value)


def test_a_script_gets_its_arguments_as_they_are(run, code):
    put(code, train_py=SHOW)
    status, out = run("train.py", hyperparameters=HYPERPARAMETERS)
    argv, cwd = json.loads(out)
    assert status == 0
    assert argv == ["train.py", *arguments(HYPERPARAMETERS)]
    assert cwd == str(code)
    assert list(files(code)) == ["train.py"]


def test_a_shell_script_gets_its_arguments_as_they_are(run, code):
    put(code, job__train_sh=f'"{sys.executable}" show.py "$0" "$@"\n', show_py=SHOW)
    status, out = run("job/train.sh", hyperparameters=HYPERPARAMETERS)
    assert status == 0
    assert json.loads(out)[0][1:] == ["./job/train.sh", *arguments(HYPERPARAMETERS)]
    assert list(files(code)) == ["job/train.sh", "show.py"]


# ---- programs


def test_the_exit_code_of_the_script_is_kept(run, code):
    put(code, train_py="raise SystemExit(42)", train_sh="exit 43")
    assert run("train.py")[0] == 42
    assert run("train.sh")[0] == 43


def test_a_shell_script_need_not_be_executable_nor_begin_with_its_shell(run, code):
    put(code, train_sh="[[ $BASH_VERSION ]] && echo bash")
    assert run("train.sh") == (0, "bash\n")


def test_another_program_runs_by_its_first_line(run, code):
    put(code, train="#!/bin/sh\necho $1 $2")
    assert run("train", hyperparameters={"a": 1}) == (0, "-a 1\n")


def test_sources_can_import_one_another_and_lines_are_printed_at_once(run, code):
    put(code, helper_py="NAME = 'helper'", sub__train_py="import helper, os; print(helper.NAME)")
    assert run("sub/train.py") == (0, "helper\n")
    put(code, train_py="import sys; print(sys.stdout.write_through)")
    assert run("train.py") == (0, "True\n")


BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "mypkg-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for part in ("__init__", "__main__", "train"):
            wheel.write(f"src/mypkg/{part}.py", f"mypkg/{part}.py")
        info = "mypkg-1.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: mypkg\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                                       "Tag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""
PACKAGE = {
    "backend_py": BACKEND,
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
    'backend-path = ["."]\n',
    "src__mypkg____init___py": "",
    "src__mypkg__train_py": SHOW,
}


def package(folder: Path) -> Path:
    put(folder, **PACKAGE)
    for name in ("__init__", "__main__"):
        (folder / "src/mypkg" / f"{name}.py").write_text(
            "import mypkg.train" if "m" in name else ""
        )
    return folder


@pytest.mark.slow
def test_a_package_is_installed_and_its_module_run(run, code, tmp_path):
    package(code)
    status, out = run("mypkg", hyperparameters={"n": "a b"})
    argv, cwd = json.loads(out)
    assert (status, argv[1:], cwd) == (0, ["-n", "a b"], str(code))
    assert argv[0].startswith(str(tmp_path / "site"))


@pytest.mark.slow
def test_a_script_beside_setup_py_finds_its_package_installed(run, code):
    put(package(code), setup_py="", train_py="import mypkg; print(mypkg.__file__)")
    status, out = run("train.py")
    assert status == 0
    assert "site/mypkg" in out


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("", "sagemaker_program: expected the name of a .py or .sh file"),
        ("tran.py", "sagemaker_program tran.py: not found in {code}, which holds sub, train.py;"),
        ("sub", "sagemaker_program sub: a folder without setup.py or pyproject.toml beside it"),
        ("mypkg.train", "sagemaker_program mypkg.train: not found in"),
        ("../train.py", "sagemaker_program ../train.py: not in {code};"),
        ("/etc/passwd", "sagemaker_program /etc/passwd: not in {code};"),
        ("-c", "sagemaker_program -c: expected the name of"),
        ("a\0b\n.py", r"sagemaker_program 'a\x00b\n.py': expected"),
    ],
)
def test_a_program_that_cannot_be_run_is_told_in_one_line(call, code, program, problem):
    put(code, train_py=SHOW, sub__x_py="")
    with pytest.raises(UserError) as caught:
        call(program)
    assert str(caught.value).startswith(problem.format(code=code))
    assert "\n" not in str(caught.value)


def test_without_any_sources_it_is_told(call, code):
    with pytest.raises(UserError, match=f"not found in {code}, which holds nothing"):
        call("train.py")


# ---- sources


def test_a_folder_is_laid_over_what_is_there_and_wins(call, code, tmp_path, capfd):
    put(code, train_py="old", own_py="of the image", sub__a_py="old")
    source = put(tmp_path / "source", train_py=SHOW, sub__b_py="new")
    call("train.py", source)
    assert files(code) == {
        "own.py": "of the image",
        "sub/a.py": "old",
        "sub/b.py": "new",
        "train.py": SHOW,
    }
    assert capfd.readouterr().out == f"2 files of {source} laid in {code} over 3, 1 replaced\n"


@pytest.mark.parametrize("scheme", ["file://", "file://localhost", ""])
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_local_sources_may_be_a_folder_or_a_tar_file(call, code, tmp_path, scheme, kind, capfd):
    place = put(tmp_path / "so urce", train_py=SHOW, lib__a_py="a")
    (place / "empty").mkdir()
    (place / "lib/link").symlink_to("a.py")
    (place / "train.py").chmod(0o755)
    if kind == "tar":
        place = tar(tmp_path / "so urce.tar.gz", place)
    address = scheme + (str(place).replace(" ", "%20") if scheme else str(place))
    call("train.py", address)
    assert files(code) == {"train.py": SHOW, "lib/a.py": "a", "lib/link": "a"}
    assert (code / "lib/link").is_symlink()
    assert (code / "empty").is_dir()
    assert (code / "train.py").stat().st_mode & 0o777 == 0o755
    assert capfd.readouterr().out == f"3 files of {address} laid in {code}\n"


def test_sources_that_are_there_already_are_left_as_they_are(call, code, capfd):
    put(code, train_py=SHOW)
    assert call("train.py", code).argv == (sys.executable, "train.py")
    assert call("train.py", f"file://{code}/").argv == (sys.executable, "train.py")
    assert capfd.readouterr().out == ""


def test_files_folders_and_links_replace_one_another(call, code, tmp_path):
    outside = put(tmp_path / "outside", train_py="outside")
    put(code, a__x_py="old", b="old", train_py="")
    (code / "link").symlink_to(outside)
    (code / "train.py").unlink()
    (code / "train.py").symlink_to(outside / "train.py")
    source = put(tmp_path / "source", a="new", b__y_py="new", link__train_py="new", train_py="new")
    call("train.py", source)
    assert files(code) == {"a": "new", "b/y.py": "new", "link/train.py": "new", "train.py": "new"}
    assert files(outside) == {"train.py": "outside"}


def test_sources_that_would_replace_themselves_are_left_as_they_are(call, code):
    put(code, src__src="file", src__train_py=SHOW)
    with pytest.raises(UserError, match="src/src: would replace the folder that it is in"):
        call("train.py", code / "src")
    assert files(code / "src") == {"src": "file", "train.py": SHOW}


EVIL = {
    "up": [member("ok.py"), member("../evil.py")],
    "up inside": [member("a/../../evil.py")],
    "absolute": [member("/tmp/evil.py")],
    "device": [member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "pipe": [member("fifo", type=tarfile.FIFOTYPE)],
    "link up": [member("l", type=tarfile.SYMTYPE, linkname="../x")],
    "absolute link": [member("l", type=tarfile.SYMTYPE, linkname="/etc")],
    "behind a link": [member("l", type=tarfile.SYMTYPE, linkname="."), member("l/x")],
    "over a link": [member("l", type=tarfile.SYMTYPE, linkname="x"), member("l")],
    "up through a link": [
        member("a/l", type=tarfile.SYMTYPE, linkname="b/c/.."),
        member("a/l2", type=tarfile.SYMTYPE, linkname="l/../.."),
    ],
    "hard link up": [member("l", type=tarfile.LNKTYPE, linkname="../../../etc/passwd")],
    "absolute hard link": [member("l", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL)
def test_an_archive_that_reaches_outside_is_not_unpacked_at_all(call, code, tmp_path, members):
    put(code, own_py="x")
    archive = tar(tmp_path / "evil.tar.gz", member("train.py"), *members)
    before = files(tmp_path)
    with pytest.raises(
        UserError, match=r"evil\.tar\.gz: not unpacked: its member '.+' is "
    ) as caught:
        call("train.py", archive)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_harmless_links_are_unpacked(call, code, tmp_path):
    archive = tar(
        tmp_path / "ok.tar.gz",
        member("./train.py", b"text"),
        member("hard", type=tarfile.LNKTYPE, linkname="./train.py"),
        member("a/b/up", type=tarfile.SYMTYPE, linkname="../../train.py"),
    )
    call("train.py", archive)
    assert files(code) == {"train.py": "text", "hard": "text", "a/b/up": "text"}


def test_owner_and_rights_are_not_those_of_where_it_was_packed(call, code, tmp_path):
    archive = tar(
        tmp_path / "ok.tar.gz",
        member("lib", type=tarfile.DIRTYPE, mode=0o000, uid=1234, gid=1234),
        member("lib/a.py", mode=0o000, uid=1234, gid=1234, uname="daemon", gname="daemon"),
        member("train.py", mode=0o7777, uid=1234, gid=1234),
    )
    call("train.py", archive)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in code.rglob("*")}
    assert modes == {"lib": modes["lib"], "a.py": 0o600, "train.py": 0o755}
    assert {(p.stat().st_uid, p.stat().st_gid) for p in code.rglob("*")} == {
        (os.geteuid(), os.getegid())
    }


def test_damaged_and_missing_sources_are_told_in_one_line(call, tmp_path):
    whole = tar(tmp_path / "whole.tar.gz", member("train.py", os.urandom(50_000)))
    cut, text, empty = tmp_path / "cut.tar.gz", tmp_path / "text.tar.gz", tmp_path / "empty"
    cut.write_bytes(whole.read_bytes()[:20_000])
    text.write_text("no archive")
    empty.mkdir()
    (tmp_path / "odd").mkdir()
    os.mkfifo(tmp_path / "odd/fifo")
    for place, problem in [
        (cut, "not a whole tar file: "),
        (text, "not a whole tar file: "),
        (empty, "holds no files"),
        (tmp_path / "none", "not found; expected a tar file or a folder"),
        ("gs://bucket/x", "expected s3://, file:///, or a local path"),
        ("file://elsewhere/x", "expected s3://, file:///, or a local path"),
        (tmp_path / "odd", "fifo: neither a file nor a folder"),
    ]:
        with pytest.raises(UserError, match=problem) as caught:
            call("train.py", place)
        assert "\n" not in str(caught.value)
        assert str(place) in str(caught.value)


# ---- requirements


def wheel(folder: Path, name: str, version: str = "1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("program", ["train.py", "train.sh"])
def test_requirements_are_installed_before_the_program_runs(run, code, tmp_path, program):
    source = put(
        tmp_path / "source",
        train_py="import extra; print(extra.VERSION)",
        train_sh=f"{sys.executable} train.py",
        pip_py="raise SystemExit('not this one')",
    )
    wheel(source / "wheels", "extra", "2")
    (source / "requirements.txt").write_text("# comment\n./wheels/extra-2-py3-none-any.whl\n")
    assert run(program, source) == (0, "2\n")


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        (
            "# x\n\nnope-nope==1.2\n",
            "line 3 (nope-nope==1.2): pip failed: Could not find a version",
        ),
        ("nope-nope >= 1 # why\n", "line 1 (nope-nope >= 1): pip failed: "),
        ("./missing.whl\n", "pip failed: "),
        ("this is no requirement\n", "line 1 (this is no requirement): pip failed: Invalid"),
    ],
)
def test_the_line_that_pip_failed_on_is_named(call, code, requirements, problem, capfd):
    put(code, train_py=SHOW)
    (code / "requirements.txt").write_text(requirements)
    with pytest.raises(UserError) as caught:
        call("train.py")
    assert str(caught.value).startswith("requirements.txt")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ERROR: " in capfd.readouterr().err


@pytest.mark.slow
def test_a_build_that_fails_is_told_by_its_own_error(call, code, capfd):
    package(code)
    (code / "backend.py").write_text("raise ValueError('no compiler')")
    with pytest.raises(UserError, match=f"^{code}: pip failed: .*ValueError: no compiler"):
        call("mypkg")


@pytest.mark.slow
def test_pip_that_takes_too_long_is_ended(call, code, capfd):
    package(code)
    (code / "backend.py").write_text("import signal; signal.pause()")
    with pytest.raises(UserError, match=r"pip did not end within 1 s"):
        call("mypkg", install_timeout=1)


@pytest.mark.slow
def test_what_is_not_supported_is_said(call, code, env, capfd):
    put(code, train_py=SHOW)
    wheel(code, "extra")
    (code / "requirements.txt").write_text("./extra-1-py3-none-any.whl\n")
    call("train.py", env={**env, "CA_REPOSITORY_ARN": "arn:aws:codeartifact:x"})
    out = capfd.readouterr().out
    assert "warning: CA_REPOSITORY_ARN is not heeded" in out
    # pip's own output is passed on.
    assert "Successfully installed extra-1" in out


def test_nothing_heavy_is_imported():
    script = (
        "import sys, trainer.sagemaker.script_mode, trainer.launch.failure_file; "
        "print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"numpy", "tensorflow", "boto3", "sagemaker_training"}
    assert not heavy & set(ran.stdout.split())


def test_a_script_finds_the_libraries_that_only_the_trainer_would_look_for(
    call, code, env, monkeypatch
):
    put(code, run_py=SHOW)
    plain = call("run.py").env.get("LD_LIBRARY_PATH")
    monkeypatch.setattr("trainer.runtime.cuda.unlinked", lambda: Path("/nvidia/cusolver/lib"))
    found = call("run.py", env={**env, "LD_LIBRARY_PATH": "/own"}).env["LD_LIBRARY_PATH"]
    assert (plain, found) == (env.get("LD_LIBRARY_PATH"), "/own:/nvidia/cusolver/lib")
