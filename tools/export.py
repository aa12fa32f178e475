#!/usr/bin/env python3
"""Calls ``funasr-sap export``."""

from funasr_sap.commands.export import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
