# The verbs for working on Taskyard. Run them as `./yard VERB`, which makes .venv first;
# the line above a recipe is what `./yard help` says about it.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

python := justfile_directory() / ".venv/bin/python"
bin := justfile_directory() / ".venv/bin"

# Makes .venv from the locked packages and does nothing else.
setup:
    @echo "ready: {{ python }}"

# A run whose process died ends there: xdist would start another one and then wait for ever for a group of tests.

# Runs the tests; --all adds the tier that .ci/run runs, PATH... runs a part.
[no-exit-message]
test *args:
    @tier='not all_tier'; rest=(); \
    for arg in "$@"; do if [ "$arg" = --all ]; then tier=''; else rest+=("$arg"); fi; done; \
    exec "{{ python }}" -m pytest -n auto --dist loadgroup --max-worker-restart 0 -m "$tier" "${rest[@]}"

# Looks for what is wrong without running the product: format, lint, types, import arrows, house tests.
[no-exit-message]
check:
    @"{{ bin }}/ruff" format --check --output-format concise || { echo 'run ./yard fmt' >&2; exit 1; }
    @"{{ bin }}/ruff" check
    @"{{ python }}" -m mypy
    @"{{ python }}" -m pytest -q tests/house

# Formats the code and mends what the linter can mend.
fmt:
    @"{{ bin }}/ruff" format
    @"{{ bin }}/ruff" check --fix

# Builds the wheel and the source archive into dist/ and checks what is in them.
build:
    @rm -rf dist
    @{{ justfile_directory() }}/yard page
    @"{{ python }}" -m hatchling build
    @"{{ python }}" scripts/check_dist.py dist

# Measures; the rows and options: ./yard bench --help.
[no-exit-message]
bench *args:
    @exec "{{ python }}" -m bench "$@"

# Breaks everything on purpose for half an hour beside a steady load, and notes the figures: ./yard soak --help.
[no-exit-message]
soak *args:
    @exec "{{ python }}" -m scripts.soak "$@"

# Takes pictures of the page into docs/images; NAME... takes some.
[no-exit-message]
screenshots *args:
    @exec "{{ python }}" -m scripts.screenshots "$@"

# Writes the reference pages that are made from code, and checks the links of all pages.
[no-exit-message]
docs:
    @"{{ python }}" scripts/write_reference.py
    @"{{ python }}" scripts/write_compatibility.py
    @"{{ python }}" scripts/write_agents.py
    @"{{ python }}" -m scripts.write_reliability
    @"{{ python }}" -m scripts.write_security
    @"{{ python }}" scripts/write_schema.py
    @"{{ python }}" -m pytest -q tests/house/test_docs.py

# Compiles requirements/*.txt from *.in; --upgrade takes newer releases, at least 7 days old.
lock *args:
    @PATH="$PATH:{{ justfile_directory() }}/.venv-tools/bin"; cd requirements; \
    for name in runtime dev uv node clients/coder-api clients/setup-fleet-mcp; do \
      uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
        --exclude-newer '7 days' --custom-compile-command './yard lock' "$@" "$name.in" -o "$name.txt"; \
    done
