#!/usr/bin/env python3
"""Calls ``funasr-sap decode``."""

from funasr_sap.commands.decode import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
