"""Print the results of several runs of funasr-sap score --json as one Markdown table.

    funasr-sap results-table --row "no context=exp/none/score.json" --row "N=100=exp/n100/score.json"

The path is what follows the last "=" of a row. The B-WER change is relative to the first row. With --command,
the table comes after what ran where; with --examples, transcripts that the context changed follow it.
"""

import argparse

from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.errors import ConfigError
from funasr_sap.metrics.report import (
    HEADER,
    changed_by_context,
    describe_environment,
    format_rows,
    markdown_table,
    read_score,
)
from funasr_sap.tool import split_help

EXAMPLE_FILES = ("ref", "without", "with", "keywords")


def main(argv: list[str] | None = None) -> None:
    """Print the table of the results that the arguments name."""
    arguments = vars(_parser().parse_args(argv))
    rows = [(label, read_score(path)) for label, path in map(_split_row, arguments["row"])]
    parts = [markdown_table(HEADER, format_rows(rows))]
    if arguments["command"]:
        parts.insert(0, "\n".join([f"- command: `{arguments['command']}`", *describe_environment()]))
    if arguments["examples"]:
        parts.append("\n".join(_examples(arguments)))
    report = "\n\n".join(parts)
    print(report)
    if arguments["output"]:
        with atomic_write(arguments["output"]) as stream:
            stream.write(report + "\n")


def _examples(arguments: dict) -> list[str]:
    missing = [f"--{name}" for name in EXAMPLE_FILES if not arguments[name]]
    if missing:
        raise ConfigError(f"--examples needs {', '.join(missing)} as well.")
    names = ("ref", "without", "with")
    reference, without, informed = (read_kaldi(arguments[name], allow_empty=True) for name in names)
    keywords = read_biasing_list(arguments["keywords"])
    return changed_by_context(reference, without, informed, keywords, arguments["examples"])


def _split_row(row: str) -> tuple[str, str]:
    label, equals, path = row.rpartition("=")
    if not (equals and label.strip() and path.strip()):
        raise ConfigError(f'cannot use --row {row!r}: expected "condition=path.json".')
    return label.strip(), path.strip()


def _parser() -> argparse.ArgumentParser:
    summary, details = split_help(__doc__)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--row", action="append", required=True, metavar="CONDITION=JSON", help="one row; repeat for more")
    add("--command", help="the command that made the results; adds date, git hash, versions, hardware")
    add("--examples", type=int, default=0, help="transcripts to show (default: %(default)s)")
    add("--ref", help="for the examples: reference text")
    add("--without", help="for the examples: text recognised without context")
    add("--with", help="for the examples: text recognised with context")
    add("--keywords", help="for the examples: rare words of each utterance, 'utt word$word'")
    add("--output", help="write the table here too (default: stdout only)")
    return parser
