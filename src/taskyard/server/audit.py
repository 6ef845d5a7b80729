"""Handlers: the audit."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from taskyard.control import audit_list
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.following import still_signed_in
from taskyard.server.streamed import Parts
from taskyard.wire import audit as wire
from taskyard.wire.base import encode

JSON_LINES = "application/x-ndjson"
"""A JSON value a line."""


async def list_audit_logs(call: Call) -> object:
    """A page of who did what."""
    return await audit_list.list_audit(
        call.services, call.actor, call.query(wire.ListAuditLogsQuery)
    )


async def export_audit_logs(call: Call) -> object:
    """All of it, a line each."""
    batches = await audit_list.export_audit(
        call.services, still_signed_in(call), call.query(wire.ExportAuditLogsQuery)
    )
    return Answer(Parts(_lines(batches), JSON_LINES))


async def _lines(batches: AsyncGenerator[list[wire.AuditLog], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(batches):
        yield b""
        async for batch in batches:
            yield b"".join(encode(log) + b"\n" for log in batch)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler for handler in (list_audit_logs, export_audit_logs)
}
