"""``funasr +model=sap2 ...``: takes FunASR's command over for calls of this form, and leaves its file alone.

Two packages cannot own one script: the one installed last overwrites it, and the one removed takes it along.
So the package installs ``funasr-sap`` alone. ``setup.py`` puts a copy of this module beside the package, and
``funasr_sap.pth``, by which Python imports the copy where it was started as ``funasr``. Other starts do not
notice. Python is still finding its packages then, so nothing but its own library can be imported here.
"""

import re
import sys
from types import ModuleType

OVERRIDE = re.compile(r"\+{1,2}[A-Za-z_][\w.]*=")


def take_over() -> None:
    """Put a module with our ``main`` where FunASR's script will look for its own.

    Importing FunASR first, as its script does, would take seconds and print notices among the results.
    """
    package, cli = ModuleType("funasr"), ModuleType("funasr.cli")
    vars(package).update(__path__=[], cli=cli)
    vars(cli).update(main=main)
    sys.modules |= {"funasr": package, "funasr.cli": cli}


def main() -> None:
    """Run our command line."""
    del sys.modules["funasr"], sys.modules["funasr.cli"]  # from here on, the name is FunASR's again
    from funasr_sap import cli

    cli.main()


if any(map(OVERRIDE.match, sys.orig_argv)):
    take_over()
