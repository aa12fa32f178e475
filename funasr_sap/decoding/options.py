"""How to decode."""

import dataclasses

from funasr_sap.context.retrieval import check_threshold
from funasr_sap.errors import ConfigError
from funasr_sap.models.guards import Guards

PRUNE_MODES = ("llm", "retrieval", "none", "joint")


@dataclasses.dataclass(frozen=True)
class DecodingOptions:
    """How to decode.

    Attributes:
        prune: "retrieval" keeps the keywords with the best acoustic evidence; "llm" then asks the LLM which
            of those are spoken; "none" gives the LLM the whole list; "joint" asks for keywords and
            transcript in one answer.
        language: of the prompts.
        itn: ask for written forms (digits, punctuation); None for the model's own. Few prompts can ask.
        name_language: name the language in the prompt; None for the model's own.
        top: keywords kept by retrieval at most; None for the model's own.
        threshold: least confidence of a keyword, in [0, 1]; None for the model's own, below which rescoring
            tries some all the same.
        guards: the transcripts that are not believed; None for the model's own.
        repair: write keywords that are surely spoken over what stands in their place; see ``Repair``.
        rescore: transcribe without keywords, too, and choose the best of many transcripts; see ``Rescoring``.
        use_llm: False takes what the CTC head hears for the transcript; repair still writes keywords into it.
        speculate: let the LLM read drafts of its answers; False lets it write token by token, which gives the
            same, more slowly.
        frame_ms: milliseconds an encoder frame.
    """

    prune: str = "retrieval"
    language: str = "en"
    itn: bool | None = None
    name_language: bool | None = None
    top: int | None = None
    threshold: float | None = None
    guards: Guards | None = None
    repair: bool = True
    rescore: bool = True
    use_llm: bool = True
    speculate: bool = True
    frame_ms: float = 60.0

    def __post_init__(self):
        if self.prune not in PRUNE_MODES:
            raise ConfigError(f"prune: expected one of {', '.join(PRUNE_MODES)}, got {self.prune!r}")
        if not self.use_llm and self.prune != "retrieval":
            raise ConfigError(f"use_llm=false goes with prune=retrieval, got prune={self.prune}")
        if self.top is not None and (not isinstance(self.top, int) or self.top < 1):
            raise ConfigError(f"top: expected a whole number of keywords above 0, got {self.top!r}")
        if self.threshold is not None:
            check_threshold(self.threshold)
        for name in ("repair", "rescore", "use_llm", "speculate"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        if self.itn is not None and not isinstance(self.itn, bool):
            raise ConfigError(f"itn: expected true or false, got {self.itn!r}")
