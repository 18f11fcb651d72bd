"""`python -m trainer` is `trainer`."""

import sys

from trainer.cli.command_line import main

sys.exit(main())
