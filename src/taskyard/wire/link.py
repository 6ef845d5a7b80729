"""The agent link's messages, for the server's side; they are defined beside the agent, which stands alone."""

from taskyard_agent.protocol import *  # noqa: F403 - the one re-export of this kind: answers to one page
