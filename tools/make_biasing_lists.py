#!/usr/bin/env python3
"""Calls ``funasr-sap biasing-lists``."""

from funasr_sap.commands.biasing_lists import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
