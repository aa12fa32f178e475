#!/usr/bin/env python3
"""Calls ``funasr-sap results-table``."""

from funasr_sap.commands.results_table import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
