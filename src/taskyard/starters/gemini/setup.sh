#!/bin/sh
# Tells Gemini CLI to use the key, and what the parameters say. It reads both files at its start.
set -eu
mkdir -p "$HOME/.gemini"
if [ ! -e "$HOME/.gemini/settings.json" ]; then
    cat >"$HOME/.gemini/settings.json" <<'EOT'
{
  "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
  "general": {"enableAutoUpdate": false},
  "privacy": {"usageStatisticsEnabled": false}
}
EOT
fi
{
    if [ -n "$TASKYARD_PARAMETER_MODEL" ]; then echo "GEMINI_MODEL=$TASKYARD_PARAMETER_MODEL"; fi
    if [ -n "$TASKYARD_PARAMETER_BASE_URL" ]; then
        echo "GOOGLE_GEMINI_BASE_URL=$TASKYARD_PARAMETER_BASE_URL"
    fi
} >"$HOME/.gemini/.env"
