"""``python -m funasr_sap`` is the shell command."""

from funasr_sap.cli import main

main()
