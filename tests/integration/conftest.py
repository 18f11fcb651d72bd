"""Fixtures that several integration tests share."""

from namespaces import hosts
from servers import digits_model, server

__all__ = ["digits_model", "hosts", "server"]
