#!/usr/bin/env python3
"""Calls ``funasr-sap lora-merge``."""

from funasr_sap.commands.lora_merge import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
