#!/usr/bin/env python3
"""Calls ``funasr-sap backbone-sizes``."""

from funasr_sap.commands.backbone_sizes import main
from funasr_sap.tool import run

if __name__ == "__main__":
    run(main)
