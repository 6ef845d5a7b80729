#!/bin/sh
# Tells Aider what the parameters say. It reads this file before that of the folder it works in.
set -eu
{
    echo 'analytics-disable: true'
    if [ -n "$TASKYARD_PARAMETER_MODEL" ]; then echo "model: \"$TASKYARD_PARAMETER_MODEL\""; fi
    if [ -n "$TASKYARD_PARAMETER_BASE_URL" ]; then
        echo "openai-api-base: \"$TASKYARD_PARAMETER_BASE_URL\""
    fi
} >"$HOME/.aider.conf.yml"
