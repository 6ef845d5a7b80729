"""What use cases work with: handed to them by the composition root, never reached for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.meters import Meters
from taskyard.control.vault import Vault
from taskyard.db.pool import Database, Doorbell


@dataclass(frozen=True, slots=True)
class Services:
    """One server's tools. now gives aware UTC; only edges call it and hand the value down."""

    settings: Settings
    db: Database
    doorbell: Doorbell
    links: Links
    server_id: UUID
    deployment_id: UUID
    now: Callable[[], datetime]
    meters: Meters = field(default_factory=Meters)
    vault: Vault = field(default_factory=Vault)
