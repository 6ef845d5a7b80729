"""All that the routes of a bridge work on."""

from dataclasses import dataclass

from taskyard_agent.bridge.options import Options
from taskyard_agent.bridge.prompts import Prompts
from taskyard_agent.bridge.session import Session
from taskyard_agent.bridge.streams import Streams
from taskyard_agent.bridge.upload import Uploads


@dataclass(frozen=True, slots=True)
class Served:
    """One session and what belongs to it."""

    session: Session
    agent_type: str
    uploads: Uploads
    prompts: Prompts
    streams: Streams
    options: Options
