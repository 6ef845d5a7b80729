"""What the use cases of this process work with, made from its settings."""

from datetime import UTC, datetime
from uuid import uuid4

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.meters import Meters
from taskyard.control.services import Services
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.secret_key import vault_of
from taskyard.db.pool import Database, Doorbell

LINK_PATIENCE_S = 8.0
"""How long a request waits for an agent that is not connected: agents dial again within 5 s at most."""


def make_services(settings: Settings, data: DataDir, db: Database) -> Services:
    """What use cases work with."""
    return Services(
        settings=settings,
        db=db,
        doorbell=Doorbell(db.url),
        links=Links(patience_s=LINK_PATIENCE_S),
        server_id=uuid4(),
        deployment_id=data.deployment_id,
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
