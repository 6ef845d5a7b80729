"""The server of tests/api serves these tests too."""

from tests.api.conftest import api

__all__ = ["api"]
