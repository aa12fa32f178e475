"""What results depend on, in few characters: so that results of two settings are never mixed."""

import hashlib
import importlib.metadata
import json
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

import funasr_sap
from funasr_sap.registration import EMBEDDED

DIGITS = 12  # of a checksum: as many as tell files apart
SAMPLE = 4096  # bytes read at either end of a tensor: weights of 14 GB are told apart without reading them
SMALL = 1 << 26  # bytes of a file that is read whole
# Keys of a configuration whose values are files or folders, wherever they stand in it.
PATH_KEYS, PATH_ENDINGS = ("backbone", "init_param"), ("_path", "_file", "_dir")
WEIGHTS = ("model.pt", "model.safetensors")  # the first that is there is loaded


def fingerprint_model(model_dir: str) -> str:
    """Name a model: by the content of all that is read when it is loaded, else by its name with the hub.

    That is the configuration, the weights, and the files and folders that ``configuration.json`` and
    ``config.yaml`` name: the tokenizer, the statistics of features, and published weights of a backbone.
    Checkpoints, logs and other files of a training's folder do not count.
    """
    folder = Path(EMBEDDED.get(model_dir, model_dir))
    if not folder.is_dir():
        return model_dir
    digest = hashlib.sha256()
    for name, path in _read_files(folder):
        digest.update(f"{name}\0{_identify(path)}\n".encode())
    return digest.hexdigest()[:DIGITS]


def fingerprint_file(path: str | os.PathLike) -> str:
    """Name a file by its content."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:DIGITS]


def versions() -> str:
    """Name the programs that decode."""
    return f"funasr-sap {funasr_sap.__version__}, funasr {importlib.metadata.version('funasr')}"


def _read_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """List the files that loading reads, with the names that they go by, whatever the folder is called."""
    config, metas = folder / "config.yaml", folder / "configuration.json"
    named = [("config.yaml", config), ("configuration.json", metas)]
    named += [(name, folder / name) for name in WEIGHTS if (folder / name).is_file()][:1]
    for key, value in _strings(_parse(metas, json.loads).get("file_path_metas", {})):
        named.append((key, folder / value))
    for key, value in _strings(_parse(config, yaml.safe_load)):
        leaf = key.rpartition(".")[2]
        if leaf in PATH_KEYS or leaf.endswith(PATH_ENDINGS):
            named.append((key, Path(value)))
    for name, path in dict(named).items():
        if path.is_file():
            yield name, path
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            yield from ((f"{name}/{file.relative_to(path).as_posix()}", file) for file in files)


def _parse(path: Path, parse) -> dict:
    """Read a file of keys; what is wrong with it, loading says better."""
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _strings(values: Mapping, prefix: str = "") -> Iterator[tuple[str, str]]:
    """List the texts of a configuration, with their keys, sections included: ``llm_conf.init_param_path``."""
    for key, value in values.items() if isinstance(values, Mapping) else ():
        if isinstance(value, str):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from _strings(value, f"{prefix}{key}.")


def _identify(path: Path) -> str:
    size = path.stat().st_size
    if path.suffix == ".safetensors":
        return _identify_safetensors(path, size)
    if zipfile.is_zipfile(path):  # torch.save writes a checksum of each tensor into its index
        with zipfile.ZipFile(path) as archive:
            return " ".join(f"{entry.CRC:08x}" for entry in archive.infolist())
    if size <= SMALL:
        return fingerprint_file(path)
    return f"{size} {path.stat().st_mtime_ns}"


def _identify_safetensors(path: Path, size: int) -> str:
    """Tell weights apart by names, shapes, and both ends of each tensor."""
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        header = stream.read(min(length, size))
        digest.update(header)
        try:
            tensors = [each["data_offsets"] for name, each in json.loads(header).items() if name[:2] != "__"]
        except (ValueError, TypeError, KeyError, AttributeError):
            return fingerprint_file(path)  # no such file at all; loading says so
        for start, end in tensors:
            for place in (start, max(start, end - SAMPLE)):
                stream.seek(8 + length + place)
                digest.update(stream.read(min(SAMPLE, end - place)))
    return digest.hexdigest()
