"""What the blocks of a page are to leave behind, besides ending well."""

from __future__ import annotations

from collections.abc import Callable

from page_run import PageRun

CHECKS: dict[str, Callable[[PageRun], None]] = {}
