"""Parts of a model from configuration; a key that a part does not know is an error."""

import dataclasses
import difflib
import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from funasr_sap.errors import ConfigError
from funasr_sap.funasr_keys import AUTO_MODEL_KEYS, GENERATE_KEYS, TRAIN_KEYS

Built = TypeVar("Built")
Component = TypeVar("Component")

# Keys that classes of FunASR's read from their ``**kwargs``.
KEYWORDS_READ = {
    "funasr.models.llm_asr.adaptor.Transformer": (
        *("n_layer", "attention_heads", "attention_dropout_rate", "dropout_rate"),
    ),
}


def check_keys(where: str, given: Mapping, known: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raise on keys that nobody reads.

    Args:
        where: the configuration's name in messages.
        given: the configuration.
        known: keys that are read here.
        others: keys that are read elsewhere; allowed, but not suggested.

    Raises:
        ConfigError: naming each unknown key and the known one closest to it.
    """
    unknown = sorted(set(given) - set(known) - set(others))
    if unknown:
        hints = [(key, difflib.get_close_matches(key, list(known), 1)) for key in unknown]
        named = ", ".join(
            f"{key!r}" + (f" (did you mean {hint[0]!r}?)" if hint else "") for key, hint in hints
        )
        raise ConfigError(f"{where}: unknown key {named}; known keys: {', '.join(sorted(known))}")


def check_model_keys(model_class: type, given: Mapping) -> None:
    """Raise on keys of a configuration that neither the model, nor decoding, nor FunASR reads."""
    from funasr_sap.inference import CALL_KEYS  # imports the models

    known = {*inspect.signature(model_class).parameters, *CALL_KEYS} - {"kwargs"}
    check_keys("model configuration", given, known, AUTO_MODEL_KEYS | GENERATE_KEYS | TRAIN_KEYS)


def build(where: str, component: Callable[..., Built], conf: Mapping | None, **arguments) -> Built:
    """Call a class with its configuration, after checking the keys against its named parameters.

    Args:
        where: the configuration's name in messages, such as ``audio_encoder_conf``.
        component: the class or function.
        conf: keyword arguments from the configuration.
        **arguments: keyword arguments that the model itself decides.
    """
    conf = dict(conf or {})
    parameters = inspect.signature(component).parameters.values()
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if hasattr(component, "known_keys"):  # fields of a configuration of transformers
        known += component.known_keys()
    known += KEYWORDS_READ.get(f"{component.__module__}.{component.__qualname__}", ())
    check_keys(where, conf, known)
    _check_numbers(where, component, conf)
    return component(**{**arguments, **conf})


def _check_numbers(where: str, component: Callable, conf: Mapping) -> None:
    """Raise on texts and switches in the place of a dataclass's numbers."""
    for field in dataclasses.fields(component) if dataclasses.is_dataclass(component) else ():
        value = conf.get(field.name, 0)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool) and value == value
        if field.type in (int, float) and not is_number:
            raise ConfigError(f"{where}.{field.name}: expected a number, got {value!r:.80}")


def lookup(kind: str, table: Mapping[str, Component], name: str) -> Component:
    """Find a class in one of FunASR's tables.

    Raises:
        ConfigError: when nothing is registered under that name.
    """
    if name not in table:
        close = difflib.get_close_matches(str(name), list(table), 3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"{kind}: {name!r} is not registered{hint}")
    return table[name]
