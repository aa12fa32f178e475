#!/usr/bin/env python3
"""Calls ``funasr-sap staged-data``."""

from funasr_sap.commands.staged_data import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
