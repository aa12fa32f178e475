#!/usr/bin/env python3
"""Calls ``funasr-sap calibrate``."""

from funasr_sap.commands.calibrate import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
