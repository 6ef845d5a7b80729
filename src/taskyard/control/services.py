"""What use cases work with: handed to them by the composition root, never reached for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from taskyard.config import Settings
from taskyard.control.feeds import Feeds
from taskyard.control.links import Links
from taskyard.control.meters import Meters
from taskyard.control.previews import Previews
from taskyard.control.throttle import Throttle
from taskyard.control.vault import Vault
from taskyard.control.waiting import Waiting
from taskyard.db.pool import Database, Doorbell
from taskyard.wire.base import NIL_UUID
from taskyard.wire.health import DriverHealth


@dataclass(frozen=True, slots=True)
class Services:
    """One server's tools. now gives aware UTC; only edges call it and hand the value down.

    server_id is another one at each start. host_id is the data directory's: workspaces stay where their files are.
    unconfined: workspaces of this server have no walls, as whoever runs it allowed. drivers: what was found of those
    of this server when it started.
    """

    settings: Settings
    db: Database
    doorbell: Doorbell
    links: Links
    server_id: UUID
    deployment_id: UUID
    now: Callable[[], datetime]
    host_id: UUID = NIL_UUID
    unconfined: bool = False
    drivers: tuple[DriverHealth, ...] = ()
    meters: Meters = field(default_factory=Meters)
    vault: Vault = field(default_factory=Vault)
    feeds: Feeds = field(default_factory=Feeds)
    waiting: Waiting = field(default_factory=Waiting)
    previews: Previews = field(default_factory=Previews)
    throttle: Throttle = field(default_factory=Throttle)
