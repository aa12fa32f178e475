#!/usr/bin/env python3
"""Calls ``funasr-sap score``."""

from funasr_sap.commands.score import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
