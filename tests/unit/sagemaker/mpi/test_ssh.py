import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.sagemaker.mpi import ssh
from trainer.sagemaker.mpi.ssh import SshServer

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEeZ0b8mTnq9Vd0YQk4N0q3xXyK1cJ9o2p4s6u8w0y2A"
needs_ssh = pytest.mark.skipif(
    not shutil.which("ssh-keygen") and not os.environ.get("CI"), reason="needs openssh-client"
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@needs_ssh
def test_the_private_key_is_for_its_owner_and_only_the_public_one_is_told(tmp_path):
    key = ssh.make_key_pair(tmp_path / "user")
    assert ssh.checked_public_key(key, host="algo-1") == key
    assert mode(tmp_path / "user") == 0o600
    private = (tmp_path / "user").read_text()
    assert "PRIVATE KEY" in private
    assert not set(private.split()) & set(key.split())
    assert ssh.make_key_pair(tmp_path / "other") != key


@needs_ssh
def test_a_key_that_cannot_be_made_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^ssh-keygen: cannot make a key in .*no-such: ") as caught:
        ssh.make_key_pair(tmp_path / "no-such/user")
    assert "\n" not in str(caught.value)


def test_ssh_keygen_that_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="install openssh-client"):
        ssh.make_key_pair(tmp_path / "user")


@pytest.mark.parametrize(
    "key",
    [
        None,
        7,
        "",
        "x",
        KEY + "\n",
        f"{KEY}\nssh-ed25519 AAAA",
        f'command="x" {KEY}',
        f"{KEY} comment",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        KEY.replace("ssh-ed25519", "ssh-rsa"),
    ],
)
def test_what_is_no_public_key_is_refused_with_its_host(key):
    with pytest.raises(UserError, match=r"^host algo-2: expected a public key"):
        ssh.checked_public_key(key, host="algo-2")


@pytest.mark.parametrize("port", [None, 0, 65536, "22", 22.0, True, "22\nHost *"])
def test_what_is_no_port_is_refused_with_its_host(port):
    with pytest.raises(UserError, match=r"^host algo-2: expected the port"):
        SshServer.from_dict({"key": KEY, "port": port}, host="algo-2")


def test_a_server_is_told_and_understood():
    server = SshServer(key=KEY, port=2222)
    assert SshServer.from_dict(json.loads(json.dumps(server.to_dict())), host="x") == server


@needs_ssh
def test_a_client_knows_exactly_the_servers_it_was_told(tmp_path):
    servers = {
        "algo-2": SshServer(key=KEY, port=2222),
        "algo-10": SshServer(key=KEY[:-1] + "B", port=23),
    }
    agent = ssh.write_client_settings(tmp_path, servers)
    assert (tmp_path / "known_hosts").read_text() == f"algo-2 {KEY}\nalgo-10 {KEY[:-1]}B\n"

    def settings(host: str) -> dict[str, str]:
        """As ssh itself understands them."""
        ran = subprocess.run(
            [*agent, "-G", host], capture_output=True, text=True, check=True, timeout=30
        )
        return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)

    second = settings("algo-2")
    assert second["port"] == "2222"
    assert second["hostkeyalias"] == "algo-2"
    assert settings("algo-10")["port"] == "23"
    for host in ("algo-2", "other"):
        found = settings(host)
        assert found["stricthostkeychecking"] == "true"
        assert found["batchmode"] == "yes"
        assert found["userknownhostsfile"] == str(tmp_path / "known_hosts")
        assert found["globalknownhostsfile"] == "none"
        assert found["identityfile"] == str(tmp_path / "user")


def test_a_server_takes_one_key_and_nothing_but_keys(tmp_path):
    argv = ssh.write_server_settings(
        tmp_path, port=2222, client=KEY, env={"TOKEN": "hidden", "A-B": "1\n2"}
    )
    assert argv == (str(ssh.SSHD), "-D", "-e", "-f", str(tmp_path / "sshd_config"))
    assert (tmp_path / "authorized_keys").read_text() == f"restrict {KEY}\n"
    lines = (tmp_path / "sshd_config").read_text().splitlines()
    options = dict(line.split(" ", 1) for line in lines)
    assert options["AuthenticationMethods"] == "publickey"
    assert options["PasswordAuthentication"] == "no"
    assert options["HostKey"] == f'"{tmp_path}/host"'
    assert "hidden" not in "".join(lines)
    environment = tmp_path / "environment.json"
    assert mode(environment) == 0o600
    assert json.loads(environment.read_text()) == {"TOKEN": "hidden", "A-B": "1\n2"}


def test_a_user_without_a_name_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(UserError, match=r"^user 4000000: has no name"):
        ssh.write_client_settings(tmp_path, {})


def test_a_server_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="install openssh-server"):
        ssh.check_server(sshd=tmp_path / "sshd")


def test_a_folder_that_sshd_insists_on_and_cannot_have_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "sshd").touch(mode=0o755)
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UserError, match=r"file/sshd: cannot be made: .*--tmpfs /run"):
        ssh.check_server(sshd=tmp_path / "sshd", run_folder=tmp_path / "file/sshd")
