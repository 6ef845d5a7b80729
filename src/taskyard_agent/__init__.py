"""What runs inside a workspace: the agent that serves it and the bridge to its coding agent."""

__version__ = "0.1.0"
"""The release; written here because a workspace holds the packages without their metadata."""
