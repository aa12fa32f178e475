"""What users call a model: a name, a directory, or a class with its configuration."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from funasr.download.name_maps_from_hub import name_maps_hf, name_maps_ms, name_maps_openai
from funasr.register import tables

from funasr_sap.errors import ConfigError
from funasr_sap.hub import find_at_hub
from funasr_sap.models.directory_check import IMPORT_FIRST, check_directory, check_weights
from funasr_sap.registration import EMBEDDED

BUILTIN_VAD = ("silero-vad", "silero_vad")  # from a package of its own; FunASR asks no hub for it


def find_model(kind: str, model: str | os.PathLike, options: Mapping) -> str:
    """Find out what a model's name means, and fail at once on one that cannot be loaded.

    Args:
        kind: the option's name in messages.
        model: a name, in any case; a model directory; or, with its configuration, the name of a class.
        options: FunASR's, of this model: ``hub`` and ``model_revision``, for names that are not of a
            directory; ``model_conf``, then FunASR reads no directory; ``init_param``, other weights than the
            directory's; ``trust_remote_code``, the directory brings a class of its own.

    Returns:
        The name or the directory that FunASR is to load.

    Raises:
        ConfigError: for a name that nobody knows, a hub that is out of reach, or a directory that is not
            whole.
    """
    if not isinstance(model, str | os.PathLike) or not os.fspath(model):
        raise ConfigError(f"{kind}: expected a name or a model directory, got {model!r}")
    model = os.fspath(model)
    hub = options.get("hub") or "ms"
    if options.get("model_conf") is not None:
        if model in tables.model_classes or model in BUILTIN_VAD:
            return model
        raise ConfigError(f"model_conf: FunASR takes it with a model's class only, not with model={model!r}")
    known = {*name_maps_ms, *name_maps_hf, *BUILTIN_VAD, *(name_maps_openai if hub == "openai" else ())}
    if not os.path.exists(model):
        model = _spelt(model, known)
    path = Path(EMBEDDED.get(model, model))
    if path.is_dir():
        weights = options.get("init_param")
        check_directory(kind, path, weights is not None, bool(options.get("trust_remote_code")))
        if weights is not None and os.path.isfile(weights):
            check_weights(Path(weights))
    elif model in EMBEDDED:
        raise ConfigError(f"{kind}: {model} is missing from the package ({path}); install funasr-sap again")
    elif path.is_file():
        hint = f"; {IMPORT_FIRST}" if kind == "model" else ""
        raise ConfigError(f"{kind}: {model} is a file, expected a model directory{hint}")
    elif model not in BUILTIN_VAD:
        _check_name(kind, model, known)
        return find_at_hub(kind, model, hub, options.get("model_revision"))
    return model


def _spelt(model: str, known: set[str]) -> str:
    """Write a name as it is known: case, hyphens and underscores are easily mistaken."""
    if model in known:
        return model
    plain = re.sub(r"[-_ ]", "", model.casefold())
    return next((name for name in sorted(known) if re.sub(r"[-_ ]", "", name.casefold()) == plain), model)


def _check_name(kind: str, model: str, known: set[str]) -> None:
    """Raise on a name that no hub can know."""
    if model in known or ("/" in model and not model.startswith((".", "/", "~"))):
        return
    if model in tables.model_classes:
        raise ConfigError(
            f"{kind}: {model!r} is the name of a class, which is built from a model_conf; expected the name "
            "of a model, or a model directory"
        )
    close = difflib.get_close_matches(model, known, 3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ConfigError(f"{kind}: {model!r} is neither a known name nor a model directory{hint}")
