#!/usr/bin/env python3
"""Calls ``funasr-sap convert``."""

from funasr_sap.commands.convert import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
