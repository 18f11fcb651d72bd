"""Several hosts as containers of a compose file: `--to compose`."""
