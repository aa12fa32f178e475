#!/usr/bin/env python3
"""Calls ``funasr-sap extract-keywords``."""

from funasr_sap.commands.extract_keywords import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
