"""Transcripts that say nothing: empty, punctuation alone, or tags of noise alone."""

import logging
import re
import unicodedata
from collections.abc import Sequence

# <unk>, <noise>, <|nospeech|>, [laughter], {breath}: what data sets write where nobody speaks.
TAG = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|【[^【】]*】")

logger = logging.getLogger(__name__)


def is_blank(text: str) -> bool:
    """Tell whether no letter and no digit of any script is left of a transcript without its tags."""
    return not any(map(str.isalnum, TAG.sub(" ", unicodedata.normalize("NFKC", text))))


def warn_of_blank(where: object, keys: Sequence[str], what_to_do: str) -> None:
    """Say how many utterances have a transcript that says nothing, and which is the first; none are no news.

    Args:
        where: their file.
        keys: their ids.
        what_to_do: what happens to them, and how to have it otherwise.
    """
    if keys:
        logger.warning(
            "%s: %d utterance(s) have an empty transcript (or punctuation and tags), the first is %s; %s",
            *(where, len(keys), keys[0], what_to_do),
        )
