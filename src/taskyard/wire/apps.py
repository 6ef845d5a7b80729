"""Seeing the apps of a workspace in a browser."""

from datetime import datetime

import msgspec

from taskyard.wire.base import Request


class AppTicketRequest(Request, frozen=True, kw_only=True):
    """path: where in the app to begin, with its query; empty for where the template says."""

    path: str = ""


class AppTicket(msgspec.Struct, frozen=True, kw_only=True):
    """An address that shows the app to whichever browser opens it first, until expires_at. Keep it to yourself."""

    url: str
    expires_at: datetime
