import json
import subprocess
import sys

from trainer.sagemaker.mpi import ssh_session


def enter(tmp_path, command, **env):
    file = tmp_path / "environment.json"
    file.write_text(json.dumps(env))
    asked = {} if command is None else {"SSH_ORIGINAL_COMMAND": command}
    return subprocess.run(
        [sys.executable, "-I", "-S", ssh_session.__file__, str(file)],
        env={"LEFT": "over", **asked},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_command_gets_exactly_the_environment_of_the_container(tmp_path):
    odd = {"SM_HP_LEARNING-RATE": "0.1", "LINES": "a\nb", "UNICODE": "größe"}
    script = (
        f"{sys.executable} -I -c 'import json, os; print(json.dumps(dict(os.environ)))'; exit 3"
    )
    ran = enter(tmp_path, script, PATH="/bin", **odd)
    assert ran.returncode == 3
    got = json.loads(ran.stdout)
    assert {name: got.get(name) for name in (*odd, "PATH")} == {**odd, "PATH": "/bin"}
    assert "LEFT" not in got
    assert "SSH_ORIGINAL_COMMAND" not in got


def test_there_is_no_session_without_a_command(tmp_path):
    ran = enter(tmp_path, None)
    assert ran.returncode == 1
    assert "without a command" in ran.stderr
