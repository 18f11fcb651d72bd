"""What an ssh server of ours runs instead of what a client asks for: the same, in our environment.

sshd gives its sessions an environment of its own; processes that mpirun starts here shall have
this container's. Run as a file, as it may import nothing of anybody's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Become the client's command; the environment is in the file that is named first."""
    command = os.environ.get("SSH_ORIGINAL_COMMAND")
    if not command:
        sys.exit("there are no sessions here without a command")
    env = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # A plain sh may lose variables whose names it cannot have, such as SM_HP_LEARNING-RATE.
    shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
    os.execve(shell, [shell, "-c", command], env)


if __name__ == "__main__":
    main()
