"""Run the command of an ssh client in the environment of this container.

sshd gives its sessions an environment of its own, but processes that mpirun starts here need this
container's. The server runs this file in place of the client's command. It is run as a file, so
that it imports nothing from the user's folders.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the client's command in place of this process.

    The first argument is the file of the environment.
    """
    command = os.environ.get("SSH_ORIGINAL_COMMAND")
    if not command:
        sys.exit("there are no sessions here without a command")
    env = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # A plain sh may drop variables whose names it does not allow, such as SM_HP_LEARNING-RATE.
    shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
    os.execve(shell, [shell, "-c", command], env)


if __name__ == "__main__":
    main()
