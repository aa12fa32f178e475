#!/usr/bin/env bash
# Run the tests: bash tests/run.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh
exec "$PYTHON" -m pytest -q "$@"
