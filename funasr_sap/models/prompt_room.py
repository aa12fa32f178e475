"""How long a prompt may be, and its answer."""

import math

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.errors import ConfigError
from funasr_sap.models.speech import Context, Speech

PIECE_MS = 60  # nobody speaks more than a piece in so much time
TAGS = 8  # pieces around keywords and transcript


def answer_limits(speech: Speech, context: Context | None, frame_ms: float) -> list[int]:
    """Tell how many tokens each answer of a batch may have: what can be spoken, the keywords, their tags.

    The audio embeddings are no measure: some adaptors leave blank frames out, some keep an eighth of them.

    Args:
        speech: the encoded batch.
        context: its keywords.
        frame_ms: milliseconds an encoder frame.
    """
    spoken = [math.ceil(frames * frame_ms / PIECE_MS) for frames in speech.frame_mask.sum(1).tolist()]
    keywords = [0] * len(spoken) if context is None else context.mask.sum(1).tolist()
    return [first + second + TAGS for first, second in zip(spoken, keywords, strict=True)]


def check_room(model, speech: Speech, lists: list[BiasingList], language: str) -> None:
    """Refuse whole biasing lists that the LLM cannot read, before memory runs out over them.

    Args:
        model: a ``SAP2``.
        speech: the encoded batch.
        lists: biasing lists, one an utterance.
        language: of the prompts.

    Raises:
        ConfigError: with the length of the longest prompt and the LLM's ``max_position_embeddings``.
    """
    room = getattr(model.llm.config.get_text_config(), "max_position_embeddings", None)
    if room is None:
        return
    sizes = {id(each): _context_size(model, each, language) for each in lists}
    audio = speech.audio_mask.sum(1).tolist()
    longest, size = max(
        (num_audio + sizes[id(each)], len(each)) for num_audio, each in zip(audio, lists, strict=True)
    )
    if longest > room and size:
        raise ConfigError(
            f"prune: with none, {size:,} keywords make a prompt of {longest:,} tokens, and the LLM takes "
            f"{room:,} (max_position_embeddings); offer fewer keywords, or use prune=retrieval"
        )


def _context_size(model, biasing_list: BiasingList, language: str) -> int:
    """Count a prompt's tokens without its audio."""
    ids, _ = model.prompts.write_context(biasing_list.words, biasing_list.ids, language)
    pooled = math.ceil(len(ids) / model.context_pooling.window)
    return len(model.prompts.prompt_ids("transcribe_with_context", language, 0, pooled))
