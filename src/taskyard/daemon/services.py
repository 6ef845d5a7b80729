"""What the use cases of this process work with, made from its settings."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.meters import Meters
from taskyard.control.servers import Whereabouts
from taskyard.control.services import Services
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.secret_key import vault_of
from taskyard.db.pool import Database, Doorbell

LINK_PATIENCE_S = 8.0
"""How long a request waits for an agent that is not connected: agents dial again within 5 s at most."""


def make_services(
    settings: Settings, data: DataDir, db: Database, *, deployment_id: UUID | None = None
) -> Services:
    """What use cases work with. deployment_id is that of the database, which several directories may share."""
    server_id = uuid4()
    return Services(
        settings=settings,
        db=db,
        doorbell=Doorbell(db.url),
        links=Links(patience_s=LINK_PATIENCE_S, elsewhere=Whereabouts(db, server_id)),
        server_id=server_id,
        deployment_id=deployment_id or data.host_id,
        host_id=data.host_id,
        now=lambda: datetime.now(UTC),
        meters=_meters(settings),
        vault=vault_of(settings, data),
    )


def _meters(settings: Settings) -> Meters:
    """What counts, where somebody wants to read it."""
    if settings.metrics_listen is None:
        return Meters()
    # Imported on use: it takes a tenth of a second, and most servers are not measured.
    from taskyard.daemon.metrics import PrometheusMeters

    return PrometheusMeters()
