#!/usr/bin/env python3
"""Calls ``funasr-sap import-backbone``."""

from funasr_sap.commands.import_backbone import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
