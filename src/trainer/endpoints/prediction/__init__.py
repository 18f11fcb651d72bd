"""Ask an endpoint for predictions of files: `trainer predict`."""
