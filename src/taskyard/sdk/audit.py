"""Methods of the blocking client: the audit."""

from uuid import UUID

from taskyard.sdk.caller import Caller
from taskyard.wire import audit


class AuditCalls(Caller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    def list_audit_logs(
        self,
        q: str = "",
        *,
        limit: int | None = None,
        offset: int | None = None,
        after: UUID | None = None,
    ) -> audit.AuditLogsResponse:
        """List who did what to which thing, newest first."""
        return self.request(
            audit.AuditLogsResponse,
            "list_audit_logs",
            query={
                "q": q or None,
                "limit": limit,
                "offset": offset,
                "after": None if after is None else str(after),
            },
        )

    def export_audit_logs(self, q: str = "") -> bytes:
        """Get the whole audit, a line of JSON for each deed, newest first."""
        return (self.exchange("export_audit_logs", query={"q": q or None})).body
