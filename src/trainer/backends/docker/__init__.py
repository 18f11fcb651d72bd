"""One container on this machine's engine: `--to docker`."""
