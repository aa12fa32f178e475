"""The decoder: one pass of the encoder, then steps over the utterances of a batch.

Silence is dropped; retrieval keeps few keywords of each list; the language model prunes them (stage 1, where
it is asked to) and transcribes (stage 2); guards have it try again; repair or rescoring settles the text;
words get their times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import Keyword, found_keywords, offered_keywords, scores
from funasr_sap.decoding.candidates import choose, collect
from funasr_sap.decoding.finish import finish
from funasr_sap.decoding.options import DecodingOptions
from funasr_sap.decoding.result import Result
from funasr_sap.decoding.utterance import Utterance
from funasr_sap.errors import ConfigError
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.language_model import Answer, Draft, Prompt
from funasr_sap.text.words import has

if TYPE_CHECKING:
    from funasr_sap.models.sap2 import SAP2

TEMPERATURES = (0.4, 0.8)  # of what is tried where greedy decoding loops
EVEN = 0.5  # confidence from which a keyword is rather spoken than not
BELIEVED = (None, "shortest")  # faults that a transcript without keywords may have


def decode(
    model: SAP2,
    speech: torch.Tensor,
    speech_lengths: torch.Tensor,
    lists: list[BiasingList],
    options: DecodingOptions,
) -> list[Result]:
    """Recognise a batch; see ``Decoder``."""
    return Decoder(model, options).decode(speech, speech_lengths, lists)


class Decoder:
    """Recognises batches.

    Args:
        model: the model, in evaluation mode.
        options: how to decode.

    Raises:
        ConfigError: for a part that the model lacks or whose training left it out.
    """

    def __init__(self, model: SAP2, options: DecodingOptions):
        if options.use_llm and "llm" in model.untrained_parts:
            raise ConfigError(
                "use_llm: this model's LLM was not trained (untrained_parts); decode with one that was, or "
                "with use_llm=false"
            )
        if not options.use_llm and model.ctc is None:
            raise ConfigError("use_llm=false: this model has no CTC head (ctc: null); leave use_llm out")
        self.model, self.options = model, options
        self.guards = options.guards or model.guards
        self.language_model = model.language_model
        self.rescores = options.rescore and options.use_llm and model.ctc is not None

    @torch.no_grad()
    def decode(
        self, speech: torch.Tensor, speech_lengths: torch.Tensor, lists: list[BiasingList]
    ) -> list[Result]:
        """Recognise a batch.

        Args:
            speech: (B, frames, width) features.
            speech_lengths: (B,) frames.
            lists: B biasing lists.

        Raises:
            ConfigError: with prune="none", for lists that are too long for the LLM.
        """
        encoded = self.model.encode(speech, speech_lengths)
        utterances = self._utterances(encoded, lists)
        heard = [row for row, each in enumerate(utterances) if not self._is_silent(each)]
        results = [Result(guards=("silence",))] * len(utterances)
        if len(heard) < len(utterances):
            utterances = self._utterances(encoded.select(heard), [lists[row] for row in heard])
        if heard:
            for row, result in zip(heard, self._decode_speech(utterances), strict=True):
                results[row] = result
        return results

    def _decode_speech(self, utterances: list[Utterance]) -> list[Result]:
        """Recognise the utterances of one encoded batch."""
        if self.options.use_llm:
            memory = self.language_model.attend(utterances[0].encoded)
            for each in utterances:
                each.memory = memory
        if self.options.prune == "none":
            self._check_room(utterances)
        self._retrieve(utterances)
        if self.options.use_llm:
            if self.options.prune == "llm":
                self._prune(utterances)
            self._transcribe(utterances)
        else:
            for each in utterances:
                each.texts = [each.ctc_text]
        texts = self._rescore(utterances) if self.rescores else [*map(self._repair, utterances)]
        return [finish(each, text) for each, text in zip(utterances, texts, strict=True)]

    def _utterances(self, encoded: Encoded, lists: list[BiasingList]) -> list[Utterance]:
        head, frame_ms = self.model.ctc_head, self.options.frame_ms
        return [Utterance(encoded, row, each, head, frame_ms) for row, each in enumerate(lists)]

    def _is_silent(self, utterance: Utterance) -> bool:
        """Tell whether the CTC head, if there is one, hears too little for speech."""
        return utterance.has_ctc and len(utterance.ctc_pieces) < self.guards.silence

    def _retrieve(self, utterances: list[Utterance]) -> None:
        """Cut the lists; by the sounds of a first transcript where there is no CTC head."""
        lists = [each.biasing_list for each in utterances]
        top, threshold = self.options.top, self.options.threshold
        if self.options.prune == "none":
            top, threshold = max(map(len, lists)), 0.0
        if self.model.ctc is None and any(map(len, lists)):
            for each, answer in zip(utterances, self._ask([(each, ()) for each in utterances]), strict=True):
                each.first, each.cut = answer.text, answer.cut
        transcripts = [each.first or "" for each in utterances]
        shortlist = self.model.retrieve(utterances[0].encoded, lists, top, threshold, transcripts)
        for each, found in zip(utterances, found_keywords(shortlist, lists), strict=True):
            kept = [keyword for keyword in found if keyword.is_kept]
            each.keywords = sorted(kept, key=lambda keyword: keyword.position)
            each.doubtful = [keyword for keyword in found if not keyword.is_kept]

    def _check_room(self, utterances: list[Utterance]) -> None:
        """Refuse lists that are too long for the LLM, before anything is looked for."""
        offered = {id(each.biasing_list): each.biasing_list for each in utterances}
        prompts = {place: self._prompt(offered_keywords(each)) for place, each in offered.items()}
        self.language_model.check_room(
            utterances[0].memory, [prompts[id(each.biasing_list)] for each in utterances]
        )

    def _prune(self, utterances: list[Utterance]) -> None:
        """Stage 1: ask the LLM which keywords are spoken."""
        asked = [each for each in utterances if each.keywords]
        answers = self._ask([(each, each.keywords) for each in asked], task="prune")
        for each, answer in zip(asked, answers, strict=True):
            each.keywords = list(answer.keywords)

    def _transcribe(self, utterances: list[Utterance]) -> None:
        """Stage 2: transcribe with the keywords, and without where transcripts are weighed; then guard."""
        asked = [each for each in utterances if each.keywords or each.first is None]
        again = [each for each in utterances if each.keywords and self.rescores]
        pairs = [*((each, each.keywords) for each in asked), *((each, ()) for each in again)]
        answers = self._ask(pairs)  # one batch: each step of the LLM costs little more
        for each in utterances:
            each.texts = [each.first or ""]
        for each, answer in zip(asked, answers[: len(asked)], strict=True):
            self._take(each, answer)
        self._guard(utterances)
        for each, answer in zip(again, answers[len(asked) :], strict=True):
            if self.guards.broken(answer.text, each.ctc_text) in BELIEVED:
                each.texts.append(answer.text)

    def _take(self, utterance: Utterance, answer: Answer) -> None:
        utterance.texts, utterance.keywords = [answer.text], list(answer.keywords)
        utterance.cut = answer.cut

    def _guard(self, utterances: list[Utterance]) -> None:
        """Transcribe again, more safely each time, what the guards refuse."""
        weak = [each for each in utterances if any(self._is_weak(each, word) for word in each.keywords)]
        for each in weak:
            each.keywords = [word for word in each.keywords if not self._is_weak(each, word)]
        self._try_again(weak, ["evidence"] * len(weak))
        faults = {each: self._fault(each) for each in utterances}
        broken = {each: fault for each, fault in faults.items() if fault and each.keywords}
        for each in broken:
            each.keywords = []
        self._try_again([*broken], [*broken.values()])
        for temperature in TEMPERATURES:
            faults = {each: self._fault(each) for each in utterances}
            broken = {each: fault for each, fault in faults.items() if fault and fault not in BELIEVED}
            for each in broken:
                each.keywords = []
            self._try_again([*broken], [*broken.values()], temperature)
        for each in utterances:
            fault = self._fault(each)
            if fault and fault not in BELIEVED:
                each.texts, each.cut = [each.ctc_text], False
                each.refused.append(fault)

    def _is_weak(self, utterance: Utterance, keyword: Keyword) -> bool:
        """Tell whether a keyword is written without enough evidence."""
        return keyword.confidence < self.guards.evidence and has(keyword.text, utterance.texts[0])

    def _fault(self, utterance: Utterance) -> str | None:
        return self.guards.broken(utterance.texts[0], utterance.ctc_text)

    def _try_again(self, utterances: list[Utterance], faults: list[str], temperature: float = 0.0) -> None:
        answers = self._ask([(each, each.keywords) for each in utterances], temperature=temperature)
        for each, fault, answer in zip(utterances, faults, answers, strict=True):
            each.refused.append(fault)
            self._take(each, answer)

    def _repair(self, utterance: Utterance) -> str:
        """Write the missing keywords of an utterance into its text."""
        kept, text = scores(utterance.keywords, self.guards.evidence), utterance.texts[0]
        if not self.options.repair:
            return text
        score = utterance.ctc_score if utterance.has_ctc else None
        return self.model.repair(text, [*kept], [*kept.values()], score)

    def _rescore(self, utterances: list[Utterance]) -> list[str]:
        """Choose each utterance's best transcript of many; doubtful keywords that it holds are kept."""
        candidates = []
        for each in utterances:
            each.doubtful = [word for word in each.doubtful if self._is_tried(each, word)]
            kept, tried = scores(each.keywords, self.guards.evidence), scores(each.doubtful)
            candidates.append(collect(self.model, each, kept, tried, repair=self.options.repair))

        def opinions(rows: list[int], texts: list[str]) -> list[float]:
            return self.language_model.score(utterances[0].memory, rows, texts, self._prompt(()))

        texts = choose(candidates, self.model.rescoring.llm, opinions)
        for each, text in zip(utterances, texts, strict=True):
            kept = [*each.keywords, *(word for word in each.doubtful if has(word.text, text))]
            each.keywords = sorted(kept, key=lambda keyword: keyword.position)
        return texts

    def _is_tried(self, utterance: Utterance, keyword: Keyword) -> bool:
        """Tell whether a keyword is tried although retrieval did not keep it.

        The model's own threshold is for what the LLM reads. One that the caller asks for is for all keywords.
        """
        if utterance.refused or self.options.prune != "retrieval" or self.options.threshold is not None:
            return False
        return keyword.confidence >= max(self.model.rescoring.confidence, self.guards.evidence)

    def _ask(
        self,
        pairs: Sequence[tuple[Utterance, Sequence[Keyword]]],
        task: str | None = None,
        temperature: float = 0.0,
    ) -> list[Answer]:
        """Let the LLM answer one prompt for each utterance and its keywords."""
        if not pairs:
            return []
        memory = pairs[0][0].memory.select([each.row for each, _ in pairs])
        prompts = [self._prompt(keywords, task) for _, keywords in pairs]
        drafts = None
        if self.options.speculate and pairs[0][0].has_ctc and self.language_model.can.reads_drafts:
            drafts = [self._draft(*pair) for pair in pairs]
        seconds = [each.seconds for each, _ in pairs]
        return self.language_model.generate(memory, prompts, seconds, drafts, temperature)

    def _prompt(self, keywords: Sequence[Keyword], task: str | None = None) -> Prompt:
        options = self.options
        if not keywords:
            task = "transcribe"
        elif task is None:
            task = "joint" if options.prune == "joint" else "transcribe_with_context"
        return Prompt(task, options.language, tuple(keywords), options.itn, options.name_language)

    def _draft(self, utterance: Utterance, keywords: Sequence[Keyword]) -> Draft:
        """Guess an answer: what the CTC head hears, with the keywords that are rather spoken than not."""
        likely = scores(list(keywords), EVEN)
        text = self.model.repair(utterance.ctc_text, [*likely], [*likely.values()], utterance.ctc_score)
        return Draft(text, tuple(likely))
