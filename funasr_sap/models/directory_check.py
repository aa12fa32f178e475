"""One check of a model directory, before FunASR reads it: FunASR leaves out files that are not there."""

import difflib
import inspect
import json
import operator
import zipfile
from collections.abc import Mapping
from pathlib import Path

import yaml
from funasr.register import tables

from funasr_sap.errors import ConfigError
from funasr_sap.models.builder import lookup
from funasr_sap.models.checkpoint import SAFETENSORS
from funasr_sap.models.directory import FILES
from funasr_sap.models.funasr_directory import LAYOUT, WEIGHTS, file_names
from funasr_sap.models.published import is_published, read_checkpoint

IMPORT_FIRST = "for a backbone's weights, make a model directory of them by funasr-sap import-backbone"
AGAIN = "copy the model directory again, with all its files and folders"


def check_directory(kind: str, path: Path, own_weights: bool = False, remote_code: bool = False) -> None:
    """Raise on a model directory that is not whole.

    Of a ``SAP2``, all files are read; of FunASR's models, their names and the configuration are checked.

    Args:
        kind: the option's name in messages.
        path: the directory.
        own_weights: the caller gives other weights than the directory's.
        remote_code: the directory brings a class of its own.

    Raises:
        ConfigError: one sentence that names the file.
    """
    if kind == "model" and is_published(path):
        raise ConfigError(f"{kind}: {path} holds published weights; {IMPORT_FIRST}")
    files = _read_layout(kind, path)
    config_file = path / str(files.get("config", "config.yaml"))
    if not config_file.is_file():
        raise ConfigError(f"{kind}: {path} holds no {config_file.name}; expected a model directory")
    config = _read_config(kind, config_file)
    if not remote_code:
        _check_class(f"{kind}: {config_file}", config["model"])
    _check_files(kind, path, files, own_weights)
    if config["model"] != "SAP2":
        return
    _check_layout(kind, path, files)
    _check_sections(f"{kind}: {config_file}", config)
    _check_tokenizer(f"{kind}: {config_file}", path, config, files)
    _check_frontend(f"{kind}: {config_file}", path, config, files)
    if not own_weights:
        weights = path / files.get(WEIGHTS, "model.pt")
        check_weights(weights if weights.is_file() else path / SAFETENSORS)


def _read_config(kind: str, file: Path) -> dict:
    """Read ``config.yaml``: a mapping that names a model, and whose sections are mappings."""
    try:
        config = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{kind}: {file} is not YAML: {' '.join(str(error).split())}") from None
    if config is None:
        raise ConfigError(f"{kind}: {file} is empty; {AGAIN}")
    if not isinstance(config, dict):
        raise ConfigError(f"{kind}: {file} holds a {type(config).__name__}, expected a mapping of keys")
    if not isinstance(config.get("model"), str):
        got = f"got {config['model']!r}" if "model" in config else "it names none"
        raise ConfigError(f"{kind}: {file}: expected model: and the name of a class, {got}")
    return config


def _check_class(where: str, name: str) -> None:
    if name in tables.model_classes:
        return
    close = difflib.get_close_matches(name, list(tables.model_classes), 1)
    hint = f" such as {close[0]}" if close else ""
    raise ConfigError(f"{where}: model {name!r} is not registered with FunASR; expected a class{hint}")


def _check_sections(where: str, config: Mapping) -> None:
    """Raise on sections that are no mappings, and on parts without a class that every ``SAP2`` has."""
    for key, value in config.items():
        needed = key in ("model_conf", "tokenizer_conf", "frontend_conf")
        if str(key).endswith("_conf") and not isinstance(value, dict) and (needed or value is not None):
            raise ConfigError(f"{where}: {key}: expected a mapping of keys, got {value!r:.60}")
    if not config.get("llm_conf") and not config.get("backbone"):
        # transformers would build one of its own sizes, of billions of weights
        raise ConfigError(f"{where}: expected llm_conf: and the sizes of the LLM; {AGAIN}")
    for key in ("tokenizer", "frontend"):
        if not isinstance(config.get(key), str):
            raise ConfigError(
                f"{where}: expected {key}: and the name of a class, got {config.get(key)!r:.60}"
            )


def _read_layout(kind: str, path: Path) -> Mapping:
    """Read which files of the directory go where in the configuration; empty where it does not say."""
    file = path / LAYOUT
    if not file.is_file():
        return {}
    try:
        layout = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{kind}: {file} is not JSON: {' '.join(str(error).split())}; {AGAIN}") from None
    files = layout.get("file_path_metas", {}) if isinstance(layout, dict) else None
    if not isinstance(files, dict) or not isinstance(files.get(WEIGHTS, ""), str):
        raise ConfigError(f"{kind}: {file}: expected file_path_metas, a mapping that names the model's files")
    return files


def _check_layout(kind: str, path: Path, files: Mapping) -> None:
    """Raise on a layout that leaves out a file of the directory: FunASR would not read it."""
    if not files:
        raise ConfigError(f"{kind}: {path} holds no {LAYOUT} that names the model's files; {AGAIN}")
    for key, value in FILES.items():
        named = file_names(files.get(key))
        for name in file_names(value):
            if (path / name).exists() and next(named, None) is None:
                raise ConfigError(f"{kind}: {path / LAYOUT} does not name {name} ({key}); {AGAIN}")


def _check_files(kind: str, path: Path, files: Mapping, own_weights: bool) -> None:
    for name in file_names(files):
        is_weights = name == files.get(WEIGHTS)
        if (path / name).exists() or (is_weights and (own_weights or (path / SAFETENSORS).is_file())):
            continue
        if is_weights:
            raise ConfigError(f"{kind}: no weights in {path}; expected {name} or {SAFETENSORS}")
        raise ConfigError(f"{kind}: {path / name} is missing, which {LAYOUT} names; {AGAIN}")


def _section(config: Mapping, files: Mapping, path: Path, name: str) -> dict:
    """Complete a section of the configuration by the files that the layout puts there, as FunASR does."""
    own = files.get(name)
    paths = {key: str(path / file) for key, file in own.items()} if isinstance(own, dict) else {}
    return {**(config.get(name) or {}), **paths}


def _check_tokenizer(where: str, path: Path, config: Mapping, files: Mapping) -> None:
    build = lookup(f"{where}: tokenizer", tables.tokenizer_classes, config["tokenizer"])
    conf = _section(config, files, path, "tokenizer_conf")
    folder = conf.get("init_param_path", path / "tokenizer")
    try:
        size = len(build(**conf))
    except Exception as error:  # transformers has no error of its own for files that it cannot use
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        raise ConfigError(f"tokenizer: {folder} cannot be read ({reason}); {AGAIN}") from error
    if not size:
        raise ConfigError(f"tokenizer: {folder} holds no pieces; {AGAIN}")


def _check_frontend(where: str, path: Path, config: Mapping, files: Mapping) -> None:
    """Build the frontend, which is small, and compare its statistics with its features."""
    build = lookup(f"{where}: frontend", tables.frontend_classes, config["frontend"])
    conf = _section(config, files, path, "frontend_conf")
    statistics = conf.pop("cmvn_file", None)
    try:
        width = operator.index(build(**conf).output_size())
    except Exception as error:
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(f"{where}: frontend_conf: {reason}") from error
    if statistics is None or "cmvn_file" not in inspect.signature(build).parameters:
        return
    try:
        cmvn = build(**conf, cmvn_file=statistics).cmvn
        fits = tuple(cmvn.shape) == (2, width) and bool(cmvn.isfinite().all()) and bool((cmvn[1] > 0).all())
    except Exception:  # FunASR reads it word by word: whatever comes of words that are none of its
        fits = False
    if not fits:
        raise ConfigError(
            f"cmvn_file: {statistics} holds no statistics of {width} features (means and scales in Kaldi's "
            f"format); {AGAIN}"
        )


def check_weights(file: Path) -> None:
    """Read the names of weights, and compare the sums that ``torch.save`` keeps of their bytes.

    Raises:
        ConfigError: for a file that is damaged, empty or of another kind.
    """
    expected = "safetensors" if file.suffix == ".safetensors" else "a file that torch.save wrote"
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()
            if damaged:
                raise ValueError(f"the part {damaged} is not what was written")
        state = read_checkpoint(file)
    except ConfigError:
        raise
    except Exception as error:  # torch and safetensors have a dozen for files that are none of theirs
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise ConfigError(
            f"init_param: {file} is damaged, or no weights ({reason}); expected {expected}"
        ) from None
    if not state:
        raise ConfigError(f"init_param: {file} holds no weights; {AGAIN}")
