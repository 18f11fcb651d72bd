"""Fixtures that tests of pages share."""

from page_fixtures import page_files, pythons, run_blocks

__all__ = ["page_files", "pythons", "run_blocks"]
