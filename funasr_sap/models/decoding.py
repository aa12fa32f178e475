"""Decoding: one pass of the encoder, then retrieval, pruning (stage 1) and transcription (stage 2)."""

import dataclasses
from collections.abc import Mapping

import torch

from funasr_sap.context.biasing_list import BiasingList, encode_keyword
from funasr_sap.context.retrieval import check_threshold
from funasr_sap.errors import ConfigError
from funasr_sap.models.candidates import choose, collect, likelihoods
from funasr_sap.models.generation import can_read_drafts, read_drafts, write_answers
from funasr_sap.models.guards import Guards
from funasr_sap.models.prompt_room import answer_limits, check_room
from funasr_sap.models.speech import BLANK, take
from funasr_sap.models.timestamps import word_timestamps
from funasr_sap.text.words import Span, find, has, replace, split_words

TEMPERATURES = (0.4, 0.8)  # of what is tried where greedy decoding loops
EVEN = 0.5  # confidence from which a keyword is rather spoken than not
BELIEVED = (None, "shortest")  # faults that a transcript without keywords may have
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


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """What was recognised in one utterance.

    Attributes:
        text: the transcript.
        keywords: the kept keywords, and doubtful ones that are written, in the order of the biasing list.
        keyword_scores: their acoustic evidence in [0, 1].
        timestamp: [start, end] in ms for each word of the text.
        guards: the guards that refused an earlier transcript.
    """

    text: str
    keywords: list[str]
    keyword_scores: list[float]
    timestamp: list[list[int]]
    guards: list[str]


@torch.no_grad()
def decode(
    model, speech, speech_lengths, lists: list[BiasingList], options: DecodingOptions
) -> list[Hypothesis]:
    """Recognise a batch.

    Args:
        model: a ``SAP2``.
        speech: (B, frames, width) features.
        speech_lengths: (B,) frames.
        lists: B biasing lists.
        options: how to decode.

    Raises:
        ConfigError: for a part that the model lacks or whose training left it out; with prune="none", for
            lists that are too long for the LLM.
    """
    _check_parts(model, options)
    model = model.asking(itn=options.itn, name_language=options.name_language)
    encoded = model.encode(speech, speech_lengths)
    if options.prune == "none":
        check_room(model, encoded, lists, options.language)
    shortlist, columns = _retrieve(model, encoded, lists, options)
    if options.prune == "llm" and any(columns):
        columns = _prune(model, encoded, lists, shortlist, columns, options)
    transcribe = _transcribe_safely if options.use_llm else _transcribe_by_ctc
    drafts = list(transcribe(model, encoded, lists, shortlist, columns, options))
    drafts = [_hush(model, encoded, row, draft, options) for row, draft in enumerate(drafts)]
    finish = _rescore if options.rescore and options.use_llm and model.ctc is not None else _repair
    hypotheses = []
    finished = finish(model, encoded, lists, shortlist, drafts, options)
    for row, (text, kept, refused) in enumerate(finished):
        keywords = _scored(lists, shortlist, row, kept)
        times = _timestamps(model, encoded, row, text, options.frame_ms)
        given = lists[row].given
        spelt = restore_spelling(text, [*keywords], given)
        names = [given.get(word, word) for word in keywords]
        hypotheses.append(Hypothesis(spelt, names, [*keywords.values()], times, refused))
    return hypotheses


def _check_parts(model, options):
    if options.use_llm and model.llm_weight == 0:
        raise ConfigError(
            "model_conf.llm_weight is 0: this model's LLM was not trained; decode with one that was, or with "
            "use_llm=false"
        )
    if not options.use_llm and model.ctc is None:
        raise ConfigError("use_llm=false: this model has no CTC head (ctc: null); leave use_llm out")


def _transcribe_safely(model, encoded, lists, shortlist, columns, options):
    """Transcribe by the LLM, each utterance again where a guard refuses.

    Yields for each utterance its texts (where it is to be rescored, also the one without keywords), the
    keywords kept, and the guards that refused.
    """
    again = [
        row for row, wanted in enumerate(columns) if wanted and options.rescore and model.ctc is not None
    ]
    rows = [*range(len(columns)), *again]  # one batch: each step of the LLM costs little more
    batch = take(encoded, rows), [lists[row] for row in rows], take(shortlist, rows)
    drafts = _transcribe(model, *batch, [*columns, *([] for _ in again)], options)
    plain = {row: text for row, (text, _) in zip(again, drafts[len(columns) :], strict=True)}
    for row, draft in enumerate(drafts[: len(columns)]):
        one = model, take(encoded, [row]), lists[row : row + 1], take(shortlist, [row])
        text, wanted, refused = _guard(*one, *draft, options)
        texts, guards = [text], options.guards or model.guards
        if row in plain and guards.broken(plain[row], _hear(model, encoded, row)) in BELIEVED:
            texts.append(plain[row])
        yield texts, wanted, refused


def _transcribe_by_ctc(model, encoded, lists, shortlist, columns, options):
    """Take what the CTC head hears, with all keywords that were retrieved: one text, columns, no guards."""
    for row, wanted in enumerate(columns):
        yield [_hear(model, encoded, row)], wanted, []


def _repair(model, encoded, lists, shortlist, drafts, options):
    """Repair each utterance's first draft; yields as ``_rescore``."""
    least = (options.guards or model.guards).evidence
    for row, (texts, wanted, refused) in enumerate(drafts):
        text, kept = texts[0], _scored(lists, shortlist, row, wanted, least)
        if options.repair:
            text = model.repair(text, [*kept], [*kept.values()], likelihoods(model, encoded, row))
        yield text, wanted, refused


def _rescore(model, encoded, lists, shortlist, drafts, options):
    """Choose each utterance's best transcript of many.

    Yields for each utterance its text, the columns of the keywords kept (doubtful ones, if they are written),
    and the guards that refused earlier texts.
    """
    least = (options.guards or model.guards).evidence
    doubtful, tried, candidates = [], [], []
    for row, (texts, wanted, refused) in enumerate(drafts):
        doubtful.append([] if refused else _doubtful(model, shortlist, row, options))
        tried.append(_scored(lists, shortlist, row, doubtful[row]))
        kept = _scored(lists, shortlist, row, wanted, least)
        candidates.append(collect(model, encoded, row, texts, kept, tried[row], repair=options.repair))
    texts = choose(model, encoded, candidates, options.language)
    for row, (text, (_, wanted, refused)) in enumerate(zip(texts, drafts, strict=True)):
        pairs = zip(doubtful[row], tried[row], strict=True)
        written = [column for column, word in pairs if has(word, text)]
        yield text, sorted([*wanted, *written], key=lambda column: int(shortlist.index[row, column])), refused


def _hush(model, encoded, row, draft, options):
    """Leave a draft as it is, or empty where the CTC head hears no speech."""
    texts, wanted, _ = draft
    if not _is_silent(model, encoded, row, options):
        return draft
    return [""], [], ["silence"] if wanted or any(texts) else []


def _scored(lists, shortlist, row, columns, least=0.0) -> dict[str, float]:
    """Name an utterance's keywords with their confidence, those of at least ``least``."""
    words = [lists[row].words[shortlist.index[row, column]] for column in columns]
    scores = [round(float(shortlist.confidence[row, column]), 4) for column in columns]
    return {word: score for word, score in zip(words, scores, strict=True) if score >= least}


def _doubtful(model, shortlist, row, options) -> list[int]:
    """Find the columns of keywords that are tried although retrieval did not keep them.

    The model's own threshold is for what the LLM reads. One that the caller asks for is for all keywords.
    """
    if shortlist is None or options.prune != "retrieval" or options.threshold is not None:
        return []
    least = max(model.rescoring.confidence, (options.guards or model.guards).evidence)
    columns = zip(shortlist.confidence[row].tolist(), shortlist.mask[row].tolist(), strict=True)
    # A row of padding has the confidence 0.
    return [column for column, (score, kept) in enumerate(columns) if not kept and score >= least and score]


def _retrieve(model, encoded, lists, options):
    """Cut the lists; the kept columns of the shortlist stand in the order of the biasing list."""
    if options.prune == "none":
        shortlist = model.retrieve(encoded, lists, top=max(map(len, lists)), threshold=0.0)
    else:
        shortlist = model.retrieve(encoded, lists, top=options.top, threshold=options.threshold)
    if shortlist is None:
        return None, [[] for _ in lists]
    columns = []
    for index, mask in zip(shortlist.index.tolist(), shortlist.mask.tolist(), strict=True):
        kept = [column for column, valid in enumerate(mask) if valid]
        columns.append(sorted(kept, key=index.__getitem__))
    return shortlist, columns


def _prune(model, encoded, lists, shortlist, columns, options):
    """Stage 1: ask the LLM which keywords are spoken."""
    tasks = ["prune" if wanted else "transcribe" for wanted in columns]
    answers = _answer(model, tasks, encoded, lists, shortlist, columns, options)
    kept = []
    for row, (answer, wanted) in enumerate(zip(answers, columns, strict=True)):
        kept.append(_named(model, answer, lists[row], shortlist.index[row], wanted, options.language))
    return kept


def _named(model, answer, biasing_list, index, columns, language):
    """Find the offered keywords that an answer names."""
    named = model.prompts.split_keywords(answer.casefold(), language)
    kept = []
    for column in columns:
        parts = model.prompts.split_parts(biasing_list.words[index[column]].casefold(), language)
        places = range(len(named) if parts else 0)
        if any(named[place : place + len(parts)] == parts for place in places):
            kept.append(column)
    return kept


def _split_joint(model, answer, biasing_list, index, columns, language):
    """Part a joint answer into its transcript and its keywords."""
    keywords, text = model.prompts.split_joint(answer, language)
    return text, _named(model, keywords, biasing_list, index, columns, language)


def _transcribe(model, encoded, lists, shortlist, columns, options, temperature=0.0):
    """Transcribe with the keywords of some columns: a text and the keywords kept, for each utterance."""
    task = "joint" if options.prune == "joint" else "transcribe_with_context"
    tasks = [task if wanted else "transcribe" for wanted in columns]
    answers = _answer(model, tasks, encoded, lists, shortlist, columns, options, temperature)
    drafts = list(zip(answers, columns, strict=True))
    for row, (answer, wanted) in enumerate(drafts):
        if tasks[row] == "joint":
            drafts[row] = _split_joint(
                model, answer, lists[row], shortlist.index[row], wanted, options.language
            )
    return drafts


def _guard(model, encoded, lists, shortlist, text, columns, options):
    """Transcribe one utterance again, more safely each time, until no guard refuses the text.

    Returns:
        The text, the keywords kept, and the guards that refused earlier ones.
    """
    guards, refused = options.guards or model.guards, []

    def again(columns, temperature=0.0):
        return _transcribe(model, encoded, lists, shortlist, [columns], options, temperature)[0]

    weak = [
        column
        for column in columns
        if shortlist.confidence[0, column] < guards.evidence
        and has(lists[0].words[shortlist.index[0, column]], text)
    ]
    if weak:
        refused.append("evidence")
        text, columns = again([column for column in columns if column not in weak])
    heard = _hear(model, encoded, 0)
    fault = guards.broken(text, heard)
    if fault and columns:
        refused.append(fault)
        text, columns = again([])
        fault = guards.broken(text, heard)
    for temperature in TEMPERATURES:
        if fault in BELIEVED:
            return text, columns, refused
        refused.append(fault)
        text, columns = again([], temperature)
        fault = guards.broken(text, heard)
    if fault in BELIEVED:
        return text, columns, refused
    return heard, columns, [*refused, fault]


def _is_silent(model, encoded, row, options) -> bool:
    """Tell whether the CTC head, if there is one, hears too little for speech."""
    guards = options.guards or model.guards
    return encoded.log_probs is not None and len(_greedy(encoded, row)) < guards.silence


def _hear(model, encoded, row) -> str:
    """What the CTC head hears in an utterance, by its greedy path."""
    if encoded.log_probs is None:
        return ""
    return model.tokenizer.decode(_greedy(encoded, row), skip_special_tokens=True).strip()


def _greedy(encoded, row) -> list[int]:
    """The pieces of an utterance's greedy path."""
    path = encoded.log_probs[row, encoded.frame_mask[row]].argmax(-1).unique_consecutive()
    return path[path != BLANK].tolist()


def _answer(model, tasks, encoded, lists, shortlist, columns, options, temperature=0.0) -> list[str]:
    """Let the LLM answer one prompt an utterance; one without speech gets an empty answer."""
    if not encoded.audio.shape[1]:
        return [""] * len(tasks)
    context = None
    if any(columns):
        context = model.embed_context(encoded, lists, shortlist, columns, options.language)
    limits = answer_limits(encoded, context, options.frame_ms)
    if options.speculate and not temperature and model.ctc is not None and can_read_drafts(model.llm):
        drafts = _draft(model, tasks, encoded, lists, shortlist, columns, options)
        ids = read_drafts(model, tasks, encoded, context, drafts, limits, options.language)
    else:
        ids = write_answers(model, tasks, encoded, context, limits, options.language, temperature)
    answers = model.tokenizer.batch_decode(ids, skip_special_tokens=True)
    answers = [" ".join(text.split()) for text in answers]  # one line, as Kaldi's files have them
    return [
        text if heard else "" for text, heard in zip(answers, encoded.audio_mask.any(1).tolist(), strict=True)
    ]


def _draft(model, tasks, encoded, lists, shortlist, columns, options) -> list[list[int]]:
    """Guess the answers: what the CTC head hears, with the keywords that are rather spoken than not."""
    drafts = []
    for row, (task, wanted) in enumerate(zip(tasks, columns, strict=True)):
        kept = _scored(lists, shortlist, row, wanted, EVEN)
        hear = likelihoods(model, encoded, row)
        text = model.repair(_hear(model, encoded, row), [*kept], [*kept.values()], hear)
        drafts.append(model.prompts.answer_ids(task, options.language, text, [*kept]))
    return drafts


def _timestamps(model, encoded, row, text, frame_ms):
    if encoded.log_probs is None:  # no CTC head, no times
        return []
    words = [list(encode_keyword(model.tokenizer, word)) for word in split_words(text)]
    frames = int(encoded.frame_mask[row].sum())
    return word_timestamps(encoded.log_probs[row, :frames], words, frame_ms)


def restore_spelling(text: str, keywords: list[str], given: Mapping[str, str] | None = None) -> str:
    """Write keywords in a transcript as the user wrote them, capitals included; the longest one wins.

    Args:
        text: a transcript.
        keywords: as they were looked for.
        given: how the user writes those that were looked for in another form.
    """
    spelling: dict[Span, str] = {}
    for keyword in sorted(keywords, key=len, reverse=True):
        for span in find(keyword, text):
            if all(span.end <= other.start or span.start >= other.end for other in spelling):
                spelling[span] = (given or {}).get(keyword, keyword)
    for span in sorted(spelling, reverse=True):  # from the end: the places before it stay where they are
        text = replace(text, span, spelling[span])
    return text
