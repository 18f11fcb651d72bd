"""`python -m trainer.task` is `trainer train`: the entry that AI Platform's convention names."""

import sys

from trainer.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
