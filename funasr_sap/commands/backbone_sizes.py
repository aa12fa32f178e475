"""Count the parameters of configurations, without any weights: a table in Markdown.

funasr-sap backbone-sizes conf/sap2_fun_asr_nano.yaml conf/sap2_qwen2_audio.yaml
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence

import yaml

from funasr_sap.configurations import find_configuration

HEAD = """\
| configuration | parameters, M | trained | trained, M | weights in fp32, GiB | in bf16, GiB | checkpoint |
| --- | ---: | --- | ---: | ---: | ---: | ---: |"""


def main(argv: Sequence[str] | None = None) -> None:
    """Build on the meta device, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("config", nargs="+", help="YAML of models, or names of this package's")
    arguments = parser.parse_args(argv)
    with contextlib.redirect_stdout(sys.stderr):  # FunASR prints notices; stdout is for results
        import funasr  # noqa: F401  (funasr_sap registers its classes with it)

        from funasr_sap.models.sizes import size_rows

        rows = [
            row
            for path in map(find_configuration, arguments.config)
            for row in size_rows(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
        ]
    print(HEAD, *rows, sep="\n")
