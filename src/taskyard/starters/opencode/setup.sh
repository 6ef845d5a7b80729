#!/bin/sh
# Writes the settings of OpenCode at each start, from the parameters. Settings of your own go into
# opencode.json of the folder that it works in.
set -eu
folder="$HOME/.config/opencode"
model="$TASKYARD_PARAMETER_MODEL"
mkdir -p "$folder"
{
    echo '{'
    if [ -n "$model" ]; then
        echo "  \"model\": \"$model\","
        echo "  \"small_model\": \"$model\","
        if [ -n "$TASKYARD_PARAMETER_BASE_URL" ]; then
            echo "  \"provider\": {\"${model%%/*}\": {\"options\": {\"baseURL\": \"$TASKYARD_PARAMETER_BASE_URL\"}}},"
        fi
    fi
    echo '  "autoupdate": false,'
    echo '  "share": "disabled"'
    echo '}'
} >"$folder/opencode.json.new"
mv "$folder/opencode.json.new" "$folder/opencode.json"
