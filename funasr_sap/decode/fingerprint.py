"""What results depend on, in few characters: so that results of two settings are never mixed."""

import hashlib
import os
import zipfile
from pathlib import Path

from funasr_sap.registration import EMBEDDED

DIGITS = 12  # of a checksum: as many as tell files apart


def fingerprint_model(model_dir: str) -> str:
    """Name a model: by the content of a model directory, else by its name with the hub."""
    folder = Path(EMBEDDED.get(model_dir, model_dir))
    if not folder.is_dir():
        return model_dir
    digest = hashlib.sha256()
    for name in ("config.yaml", "configuration.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    if (folder / "model.pt").is_file():
        digest.update(_weights(folder / "model.pt").encode())
    elif (folder / "model.safetensors").is_file():
        digest.update(fingerprint_file(folder / "model.safetensors").encode())
    return digest.hexdigest()[:DIGITS]


def fingerprint_file(path: str | os.PathLike) -> str:
    """Name a file by its content."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:DIGITS]


def _weights(path: Path) -> str:
    """Tell weights apart without reading them: torch.save writes a checksum of each tensor into its index."""
    if not zipfile.is_zipfile(path):
        return str(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        return " ".join(f"{entry.CRC:08x}" for entry in archive.infolist())
