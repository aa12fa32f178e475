#!/usr/bin/env python3
"""Calls ``funasr-sap log``."""

from funasr_sap.commands.log import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
