#!/usr/bin/env python3
"""Calls ``funasr-sap pruning-quality``."""

from funasr_sap.commands.pruning_quality import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
