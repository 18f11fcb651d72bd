"""Fixtures that several integration tests share."""

from namespaces import hosts
from released import released
from servers import digits_model, server

__all__ = ["digits_model", "hosts", "released", "server"]
