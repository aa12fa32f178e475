"""The front that the command-line tools share: exit statuses, one-sentence errors, ``++key=value``."""

import dataclasses
import difflib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

import yaml
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from funasr_sap.errors import ConfigError, DataError, WorkerError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE: the reader of stdout has gone, for example `| head`

Options = TypeVar("Options", bound="DataclassInstance")
Value = TypeVar("Value")


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a tool's ``main`` and leave the process with its exit status.

    Logs go to stderr. A DataError, ConfigError, WorkerError or OSError is printed there in its words, without
    a traceback.

    Args:
        main: called without arguments; it reads ``sys.argv`` and returns an exit status (None = 0).
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        status = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Python flushes stdout once more on its way out; that must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_BROKEN_PIPE
    except (DataError, ConfigError, WorkerError) as error:
        status = _fail(str(error), EXIT_ERROR)
    except OSError as error:
        reason = error.strerror or str(error)
        status = _fail(f"{error.filename}: {reason}" if error.filename else reason, EXIT_ERROR)
    sys.exit(status)


def _fail(message: str, status: int) -> int:
    if "tqdm" in sys.modules:  # an error leaves a progress bar open, and its line unfinished
        for bar in list(getattr(sys.modules["tqdm"].tqdm, "_instances", ())):
            bar.close()
    sys.stderr.write(f"error: {message}\n")
    return status


def split_help(docstring: str | None) -> tuple[str, str]:
    """Part a module's docstring into its first paragraph and the rest; ``python -OO`` leaves neither."""
    summary, _, details = (docstring or "").partition("\n\n")
    return summary, details


def option(description: str, default: Value = MISSING) -> Value:
    """Declare one key of an options dataclass; without a default the user must give it.

    To type checkers it is what the key will hold, as ``dataclasses.field`` is.
    """
    return dataclasses.field(default=default, metadata={"help": description})


def parse_overrides(argv: Sequence[str] | None, schema: type[Options], description: str | None) -> Options:
    """Read Hydra-style arguments (``++key=value``, ``+key=value``, ``key=value``) into a dataclass.

    A text option keeps the characters of its value as they are (``++jsonl_file=007`` stays "007"); the other
    types are read by OmegaConf. ``-h`` or ``--help`` anywhere prints all keys and leaves with status 0.

    Args:
        argv: the arguments without the program's name; None = ``sys.argv[1:]``.
        schema: a dataclass whose fields come from `option`.
        description: what the tool does, for its help.

    Raises:
        ConfigError: an argument without ``=``, an unknown key (with the closest known one), a value of the
            wrong type, or a missing key.
    """
    argv = sys.argv[1:] if argv is None else argv
    if {"-h", "--help"}.intersection(argv):
        sys.stdout.write(_help(schema, description or ""))
        raise SystemExit(0)
    fields = {field.name: field for field in dataclasses.fields(schema)}
    texts, others = {}, {}
    for argument in argv:
        key, value = _split(argument, list(fields))
        if fields[key].type in (str, str | None):
            texts[key] = _unquote(value)
        else:
            others[key] = value
    given = texts | _typed(schema, others)
    missing = [name for name, field in fields.items() if field.default == MISSING and name not in given]
    if missing:
        raise ConfigError("missing " + ", ".join(f"++{name}=..." for name in missing) + "; see --help")
    return schema(**given)


def _typed(schema: type, texts: dict[str, str]) -> dict[str, object]:
    """Convert values to the types that the dataclass declares."""
    values = {}
    for key, value in texts.items():
        try:
            merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.from_dotlist([f"{key}={value}"]))
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise ConfigError(f"cannot use ++{key}={value}: {str(error).splitlines()[0]}") from error
        values[key] = getattr(merged, key)
    return values


def _split(argument: str, known: list[str]) -> tuple[str, str]:
    key, equals, value = argument.lstrip("+").partition("=")
    if not equals:
        raise ConfigError(f"got {argument!r}, expected ++key=value; see --help")
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        raise ConfigError(f"unknown key {key!r}; {hint}")
    return key, value


def _unquote(value: str) -> str:
    """Take off the quotes that Hydra's grammar allows around a value."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _help(schema: "type[DataclassInstance]", description: str) -> str:
    lines = [description.strip(), "", "Keys (++key=value, +key=value or key=value):"]
    width = max(len(field.name) for field in dataclasses.fields(schema))
    for field in dataclasses.fields(schema):
        default = "required" if field.default == MISSING else f"default: {_shown(field.default)}"
        lines.append(f"  {field.name:{width}}  {field.metadata['help']} ({default})")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if default is None:
        return "not given"
    return str(default).lower() if isinstance(default, bool) else str(default)
