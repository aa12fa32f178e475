#!/usr/bin/env python3
"""Calls ``funasr-sap scp2jsonl``."""

from funasr_sap.commands.scp2jsonl import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
