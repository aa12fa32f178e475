"""The hubs of models: whether one can be reached, and what it has left in its cache."""

import os

from funasr_sap.errors import ConfigError

HUBS = ("ms", "modelscope", "hf", "huggingface", "openai")  # as FunASR calls them
TIMEOUT = 5  # seconds without an answer
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def find_at_hub(kind: str, name: str, hub: str, revision: str | None = None) -> str:
    """Give back a name that FunASR can ask a hub for, or the copy of it in the hub's cache.

    A hub's own client tries for half a minute before it says that there is no network.

    Args:
        kind: the option's name in messages.
        name: of a model, as "owner/name" or as FunASR knows it.
        hub: one of ``HUBS``.
        revision: of the model; None for the hub's default.

    Raises:
        ConfigError: the hub is out of reach, and its cache holds no such model.
    """
    if hub == "openai":  # whisper's own loader
        return name
    is_ms = hub in ("ms", "modelscope")
    if _is_reachable(is_ms):
        return name
    from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms

    try:
        if is_ms:
            from modelscope import snapshot_download
        else:
            from huggingface_hub import snapshot_download
        at_hub = (name_maps_ms if is_ms else name_maps_hf).get(name, name)
        return str(snapshot_download(at_hub, revision=revision, local_files_only=True))
    except Exception:  # each hub has errors of its own for a name that its cache lacks
        raise ConfigError(
            f"{kind}: {name!r} is no directory here, and the hub ({hub}) is out of reach; give the path of a "
            "local model directory, or connect to the network"
        ) from None


def _is_reachable(is_ms: bool) -> bool:
    """Ask a hub for a sign of life, through the proxy that the environment names."""
    import requests

    if is_ms:
        from modelscope.hub.utils.utils import get_endpoint

        address = get_endpoint()
    else:
        if any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in OFFLINE):
            return False
        from huggingface_hub.constants import ENDPOINT as address  # noqa: N811
    try:
        requests.head(address, timeout=TIMEOUT)
    except requests.RequestException:
        return False
    return True
