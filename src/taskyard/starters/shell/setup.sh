#!/bin/sh
# Gives the task files of its own to work on. A resumed task keeps what it made of them.
set -eu
if [ ! -e words ]; then
    rm -rf words.new
    cp -R "$TASKYARD_TEMPLATE_DIR/words" words.new
    chmod -R u+w words.new
    mv words.new words
fi
