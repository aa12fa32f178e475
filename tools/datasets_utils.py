#!/usr/bin/env python3
"""Calls ``funasr-sap datasets``."""

from funasr_sap.commands.datasets import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
