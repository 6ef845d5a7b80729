#!/bin/sh
# Writes the settings of Codex at each start, from the parameters. To keep settings of your own, delete
# the first line of the file.
set -eu
file="$HOME/.codex/config.toml"
mark='# Written by the template at each start; delete this line to keep what you change.'
if [ -e "$file" ] && [ "$(head -n 1 "$file")" != "$mark" ]; then exit 0; fi

# The workspace is confined already, and no sandbox can be made inside of it. Elsewhere Codex confines itself.
sandbox=workspace-write
if [ "${TASKYARD_CONFINED:-}" = 1 ]; then sandbox=danger-full-access; fi

mkdir -p "$HOME/.codex"
{
    echo "$mark"
    if [ -n "$TASKYARD_PARAMETER_MODEL" ]; then echo "model = \"$TASKYARD_PARAMETER_MODEL\""; fi
    cat <<EOT
model_provider = "template"
model_reasoning_effort = "$TASKYARD_PARAMETER_EFFORT"
approval_policy = "on-request"
sandbox_mode = "$sandbox"
check_for_update_on_startup = false

[analytics]
enabled = false

# A daemon would be a copy of 400 MB in the home directory, and live longer than the task.
[features]
daemon_auto_start = false

[model_providers.template]
name = "OpenAI"
base_url = "${TASKYARD_PARAMETER_BASE_URL:-https://api.openai.com/v1}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"

[projects."$HOME"]
trust_level = "trusted"
EOT
} >"$file.new"
mv "$file.new" "$file"
