#!/bin/sh
# Claude Code keeps its settings as JSON, which a shell should not write.
set -eu
exec "$TASKYARD_PYTHON" "$TASKYARD_TEMPLATE_DIR/setup.py"
