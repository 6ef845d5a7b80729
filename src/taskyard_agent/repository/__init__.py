"""The repository of a workspace: cloned at the first start, compared, and pushed from a place of its own.

Whatever lies in the workspace may be hostile. So what talks to the other side, and has credentials, never works
in the workspace's own repository: its configuration, hooks and attributes are not read there.
"""
