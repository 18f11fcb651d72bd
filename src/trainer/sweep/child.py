"""The program of a trial's process, `python -m trainer.sweep.child PARENT ARGUMENTS`.

It is `trainer ARGUMENTS`, and ends with the sweep even if that is killed.
"""

from __future__ import annotations

import os
import runpy
import sys

from trainer.launch import end_with_parent


def main() -> None:
    """Run the trainer unless the parent has ended already."""
    parent = int(sys.argv.pop(1))
    end_with_parent()
    # The kernel tells of an end after the call only.
    if os.getppid() == parent:
        runpy.run_module("trainer", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
