#!/usr/bin/env bash
# Sourced by recipes and tests: sets $PYTHON to an interpreter that has funasr_sap, and what both need.
# Uses the active environment where funasr_sap is installed there, else makes .venv in the checkout.

sap_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A checkout under the current directory is no installation, so the test runs elsewhere.
has_funasr_sap() {
  (cd / && "$1" -c 'import funasr, funasr_sap, pytest, espeakng_loader, wordfreq') >/dev/null 2>&1
}

if [ -n "${sap_python:-}" ]; then # a script that started this one has looked already
  PYTHON=$sap_python
elif has_funasr_sap python; then
  PYTHON=python
elif has_funasr_sap python3; then
  PYTHON=python3
else
  PYTHON=$sap_root/.venv/bin/python
  if ! has_funasr_sap "$PYTHON"; then
    echo "funasr_sap is not installed here: setting up $sap_root/.venv (a few minutes, once)" >&2
    python3 -m venv "$sap_root/.venv"
    "$PYTHON" -m pip install --quiet --upgrade pip
    "$PYTHON" -m pip install --quiet --editable "${sap_root}[test]"
  fi
fi
export PYTHON sap_python=$PYTHON
