#!/usr/bin/env python3
"""Calls ``funasr-sap average``."""

from funasr_sap.commands.average import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
