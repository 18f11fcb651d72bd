"""Keys and settings of ssh for one run, made when it starts and removed when it ends.

All files are in a private folder: none is in the image or the user's own `.ssh`, and private keys
stay on the host that made them. A server accepts one client's key, and a client connects only to
the servers whose keys it was given (sshd_config(5), ssh_config(5)).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.sagemaker.mpi import ssh_session
from trainer.storage import local

SSHD = Path("/usr/sbin/sshd")
# Compiled into Debian's sshd, which requires this folder when it runs as root.
RUN_SSHD = Path("/run/sshd")
_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{20,200}={0,2}")
_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class SshServer:
    """The key and port of a server, as a client needs them.

    Attributes:
        key: Its public key, `ssh-ed25519 AAAA…`.
        port: The port at which it listens.
    """

    key: str
    port: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {"key": self.key, "port": self.port}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, host: str) -> SshServer:
        """Return the inverse of `to_dict`, for fields that came over the network.

        Raises:
            UserError: The fields are not those of a server.
        """
        port = fields.get("port")
        if type(port) is not int or not 0 < port < 65536:
            raise UserError(
                subject=f"host {host}",
                problem=f"expected the port of its ssh server, found {port!r}",
            )
        return cls(key=checked_public_key(fields.get("key"), host=host), port=port)


def checked_public_key(key: Any, *, host: str) -> str:
    """Check that a text from the network is a public key and nothing else, and return it.

    Raises:
        UserError: It is not.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise UserError(
            subject=f"host {host}",
            problem="expected a public key for ssh, ssh-ed25519, found no such",
        )
    return key


def make_key_pair(path: Path) -> str:
    """Create a pair of keys.

    Args:
        path: The private one, mode 0600; the public one stands beside it.

    Returns:
        The public key.

    Raises:
        UserError: It cannot be made.
    """
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_SECONDS)
        return path.with_name(f"{path.name}.pub").read_text().strip()
    except subprocess.SubprocessError as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise UserError(
            subject="ssh-keygen", problem=f"cannot make a key in {path.parent}: {lines[-1]}"
        ) from None
    except OSError as error:
        raise UserError(
            subject="ssh-keygen",
            problem=error.strerror or str(error),
            remedy="install openssh-client",
        ) from None


def check_server(*, sshd: Path = SSHD, run_folder: Path = RUN_SSHD) -> None:
    """Check that a server can be started here.

    Args:
        sshd: The server's program.
        run_folder: The folder that it requires when it runs as root.

    Raises:
        UserError: It cannot.
    """
    if not os.access(sshd, os.X_OK):
        raise UserError(subject=sshd, problem="not found", remedy="install openssh-server")
    if os.geteuid() == 0:
        try:
            run_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                subject=run_folder,
                problem=f"cannot be made: {error.strerror}",
                remedy="sshd insists on this folder: make "
                "it in the image, or docker run --tmpfs /run",
            ) from None


def write_server_settings(
    folder: Path, *, port: int, client: str, env: Mapping[str, str]
) -> tuple[str, ...]:
    """Write the settings of a server whose key is `folder/host`.

    Args:
        folder: The private folder.
        port: The port at which it listens.
        client: The only public key that is accepted.
        env: The environment of the commands that the client runs, instead of sshd's own.

    Returns:
        The command that runs it in the foreground.
    """
    _write(folder / "authorized_keys", f"restrict {client}\n")
    _write(folder / "environment.json", json.dumps(dict(env)))
    enter = (sys.executable, "-I", "-S", ssh_session.__file__, str(folder / "environment.json"))
    _write(
        folder / "sshd_config",
        _settings(
            Port=port,
            HostKey=_quoted(folder / "host"),
            AuthorizedKeysFile=_quoted(folder / "authorized_keys"),
            # The folder is private, but may be in /tmp, which sshd would refuse.
            StrictModes="no",
            PidFile="none",
            AuthenticationMethods="publickey",
            PasswordAuthentication="no",
            KbdInteractiveAuthentication="no",
            PermitRootLogin="prohibit-password",
            AllowUsers=_user(),
            UsePAM="no",
            UseDNS="no",
            ForceCommand=shlex.join(enter),
            LogLevel="ERROR",
        ),
    )
    return (str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config"))


def write_client_settings(folder: Path, servers: Mapping[str, SshServer]) -> tuple[str, ...]:
    """Write the settings of a client whose key is `folder/user`.

    Args:
        folder: The private folder.
        servers: The only hosts that it can connect to, by name.

    Returns:
        The command to which a host and what it shall run are added.
    """
    _write(
        folder / "known_hosts",
        "".join(f"{name} {server.key}\n" for name, server in servers.items()),
    )
    ports = "".join(
        f"Host {name}\n    Port {server.port}\n    HostKeyAlias {name}\n"
        for name, server in servers.items()
    )
    common = _settings(
        User=_user(),
        IdentityFile=_quoted(folder / "user"),
        IdentitiesOnly="yes",
        IdentityAgent="none",
        UserKnownHostsFile=_quoted(folder / "known_hosts"),
        GlobalKnownHostsFile="none",
        StrictHostKeyChecking="yes",
        HostKeyAlgorithms="ssh-ed25519",
        CheckHostIP="no",
        BatchMode="yes",
        PreferredAuthentications="publickey",
        ConnectTimeout=10,
        # Detects a lost host although nothing is sent.
        ServerAliveInterval=5,
        ServerAliveCountMax=3,
        LogLevel="ERROR",
    )
    _write(folder / "ssh_config", f"{ports}Host *\n{common}")
    return (shutil.which("ssh") or "ssh", "-F", str(folder / "ssh_config"))


def _settings(**values: object) -> str:
    return "".join(f"{name} {value}\n" for name, value in values.items())


def _write(path: Path, text: str) -> None:
    local.write_text(path, text)
    path.chmod(0o600)


def _quoted(path: Path) -> str:
    return f'"{path}"'


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise UserError(
            subject=f"user {os.geteuid()}",
            problem="has no name in /etc/passwd, which ssh needs",
            remedy="start the container as root",
        ) from None
