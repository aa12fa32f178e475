"""SAP²: LLM-based speech recognition with a pruned, speech-pooled context (arXiv:2511.11139).

Symbols:
    B   utterances of a batch   T   encoder frames   N   keywords of a list   V   vocabulary

Masks are bool, True = valid.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from funasr.models.ctc.ctc import CTC
from funasr.register import tables
from torch import nn
from transformers import PreTrainedTokenizerFast

from funasr_sap.context.biasing_list import LONG, BiasingList
from funasr_sap.context.calibration import Calibration
from funasr_sap.context.hearing import Hearing
from funasr_sap.context.prompts import PromptTemplate
from funasr_sap.context.retrieval import (
    BY_SOUND,
    JUDGED,
    POOL,
    Evidence,
    Shortlist,
    check_threshold,
    cut,
    weigh_by_sound,
    weigh_lists,
)
from funasr_sap.errors import ConfigError
from funasr_sap.models import construction
from funasr_sap.models.builder import build, check_keys, check_model_keys
from funasr_sap.models.causal_lm import CausalLM, exact_unless
from funasr_sap.models.checkpoint import report_of, saved_names, saved_state, whole_state
from funasr_sap.models.ctc_head import BLANK, CTCHead
from funasr_sap.models.directory import untrained_by_weight
from funasr_sap.models.encoded import Encoded
from funasr_sap.models.evidence import EvidenceEmbedding
from funasr_sap.models.guards import Guards
from funasr_sap.models.language_model import LanguageModel
from funasr_sap.models.letters import spell_pieces, word_scores
from funasr_sap.models.new_tokens import NewTokens, add_tags
from funasr_sap.models.objective import Objective
from funasr_sap.models.parts import parameter_table
from funasr_sap.models.pooling import SpeechDrivenPooling
from funasr_sap.models.repair import Repair
from funasr_sap.models.rescoring import Rescoring
from funasr_sap.models.seed_keys import SEED_KEYS, translate
from funasr_sap.models.span_head import SpanHead

if TYPE_CHECKING:
    from funasr_sap.models.llm import LLM


@tables.register("model_classes", "SAP2")
class SAP2(nn.Module):
    """The recogniser, built from configuration in FunASR's key names.

    Args:
        tokenizer: a transformers tokenizer.
        input_size: width of the frontend's features.
        vocab_size: V.
        audio_encoder: name in FunASR's ``encoder_classes``.
        audio_encoder_conf: its arguments, and the options that each part has, see ``PartOptions``.
        audio_adaptor: name in FunASR's ``adaptor_classes``.
        audio_adaptor_conf: its arguments; ``use_low_frame_rate``, see ``truncate``.
        llm: transformers' name of the architecture.
        llm_conf: its configuration; see ``build_llm``.
        ctc: "CTC", or None for no CTC head: evidence then comes from a first transcript.
        ctc_conf: arguments of FunASR's ``CTC``.
        context_pooling_conf: ``window``, ``num_heads``, ``mode``; its ``freeze`` is for the evidence too.
        span_head: "SpanHead", or None for none: the calibration then has the alignment alone.
        span_head_conf: its arguments.
        backbone: published weights of encoder, adaptor and LLM: a path, or a name at ``hub``.
        hub: "ms" (ModelScope) or "hf" (Hugging Face).
        retrieval_conf: ``top`` keywords kept, ``threshold``, their least confidence, ``calibration`` of the
            evidence (``Calibration``).
        guard_conf: what transcripts are not believed; see ``Guards``.
        repair_conf: which keywords are written where the LLM did not; see ``Repair``.
        rescoring_conf: how the transcripts that an utterance may get are weighed; see ``Rescoring``.
        prompt_conf: ``language``, used where none is asked for; the others: ``PromptTemplate``.
        max_seconds: of speech that it was trained on, longer audio is warned of; None where it is not known.
        specaug: name in FunASR's ``specaug_classes``, applied in training while the encoder is trained.
        specaug_conf: its arguments.
        ctc_weight: weight of the CTC loss; 0 leaves it out.
        llm_weight: weight of the LLM's loss; 0 leaves it out.
        span_weight: weight of the span head's loss; 0 leaves it out.
        letter_weight: weight of the letter head's loss; 0 leaves it out.
        task_weights: relative frequency of each task in training.
        untrained_parts: parts that no training has reached, which decoding refuses to use; None = those
            whose loss is left out.
        ignore_init_mismatch: accept weights that do not fit: what is missing starts from scratch.
        **kwargs: SAP²-ASR's names, see ``SEED_KEYS``; what else FunASR's AutoModel hands to every model is
            not read, but unknown keys raise.

    Raises:
        ConfigError: for unknown names and keys, and for published weights that do not fit.
    """

    audio_encoder: nn.Module
    ctc: CTC | None
    llm: LLM
    audio_adaptor: nn.Module
    context_pooling: SpeechDrivenPooling
    span_head: SpanHead | None
    evidence: EvidenceEmbedding
    word_start: torch.Tensor
    spelling: torch.Tensor
    init_param: str | None

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        input_size: int = 560,
        vocab_size: int = -1,
        audio_encoder: str = "SenseVoiceEncoderSmall",
        audio_encoder_conf: dict | None = None,
        audio_adaptor: str = "CTCAdaptor",
        audio_adaptor_conf: dict | None = None,
        llm: str = "qwen3",
        llm_conf: dict | None = None,
        ctc: str | None = "CTC",
        ctc_conf: dict | None = None,
        context_pooling_conf: dict | None = None,
        span_head: str | None = None,
        span_head_conf: dict | None = None,
        backbone: str | None = None,
        hub: str = "ms",
        retrieval_conf: dict | None = None,
        guard_conf: dict | None = None,
        repair_conf: dict | None = None,
        rescoring_conf: dict | None = None,
        prompt_conf: dict | None = None,
        max_seconds: float | None = None,
        specaug: str | None = None,
        specaug_conf: dict | None = None,
        ctc_weight: float = 0.0,
        llm_weight: float = 1.0,
        span_weight: float = 0.0,
        letter_weight: float = 0.0,
        task_weights: dict | None = None,
        untrained_parts: list[str] | None = None,
        ignore_init_mismatch: bool = False,
        **kwargs,
    ):
        super().__init__()
        self._hearing: Hearing | None = None
        check_model_keys(type(self), {key: kwargs[key] for key in kwargs.keys() - SEED_KEYS.keys()})
        self.tokenizer = tokenizer
        self.max_seconds = max_seconds
        self.objective = Objective(
            ctc_weight, llm_weight, span_weight, letter_weight, dict(task_weights or {"transcribe": 1.0})
        )
        unlearned = untrained_by_weight(llm_weight) if untrained_parts is None else untrained_parts
        self.untrained_parts = frozenset(unlearned)
        self.ignore_init_mismatch, self.init_param = ignore_init_mismatch, kwargs.get("init_param")
        self._configure(retrieval_conf, prompt_conf, ctc)
        self._read_checks(guard_conf, repair_conf, rescoring_conf)
        names = {"audio_encoder": audio_encoder, "audio_adaptor": audio_adaptor, "llm": llm}
        names |= {"ctc": ctc, "span_head": span_head}
        sections = {"audio_encoder_conf": audio_encoder_conf, "audio_adaptor_conf": audio_adaptor_conf}
        sections |= {"llm_conf": llm_conf, "ctc_conf": ctc_conf, "context_pooling_conf": context_pooling_conf}
        sections["span_head_conf"] = span_head_conf
        blueprint = construction.Blueprint(names, translate({**kwargs, **sections}), input_size, vocab_size)
        self._build(blueprint, construction.find_sources(blueprint, backbone, hub), specaug, specaug_conf)

    def _build(self, blueprint, sources, specaug, specaug_conf) -> None:
        """Build the parts, what goes with the tokenizer, and what masks features."""
        self.objective.check_parts(blueprint.names, construction.HEADS)
        self.from_backbone = construction.assemble(self, blueprint, sources, self.ignore_init_mismatch)
        own = [part for part in construction.PARTS if getattr(self, part) is not None]
        self.frozen = [part for part in own if blueprint.options[part].is_frozen]
        self.low_frame_rate = blueprint.low_frame_rate
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(blueprint.vocab_size)))
        word_start = [str(token).startswith(("Ġ", "▁")) for token in tokens]
        self.register_buffer("word_start", torch.tensor(word_start), persistent=False)
        if self.span_head is not None:
            self.register_buffer("spelling", spell_pieces([str(token) for token in tokens]), persistent=False)
        self.new_tokens = None
        if self.added_ids:
            self.new_tokens = NewTokens(self.added_ids, blueprint.llm_dim)
            self.new_tokens.start_from(self.llm.get_input_embeddings().weight)
            self.new_tokens.requires_grad_(not blueprint.options["context_pooling"].freeze)
        self.specaug = construction.build_specaug(specaug, specaug_conf)
        logging.info("%s\n%s", type(self).__name__, parameter_table(self))

    def _configure(self, retrieval_conf, prompt_conf, ctc) -> None:
        """Read the sections that build no part."""
        retrieval_conf, prompt_conf = dict(retrieval_conf or {}), dict(prompt_conf or {})
        check_keys("retrieval_conf", retrieval_conf, {"top", "threshold", "calibration"})
        check_keys("prompt_conf", prompt_conf, {"language", "languages", "style", "itn", "name_language"})
        self.added_ids = add_tags(self.tokenizer, prompt_conf.get("style", "sap2"))
        self.language = prompt_conf.pop("language", "en")
        self.prompts = PromptTemplate(self.tokenizer, **prompt_conf)
        if "languages" in prompt_conf:
            self.prompts.language_code(self.language)
        self.top = retrieval_conf.get("top", 5)
        if not isinstance(self.top, int) or self.top < 1:
            raise ConfigError(f"retrieval_conf.top: expected a whole number above 0, got {self.top!r}")
        self.threshold = check_threshold(retrieval_conf.get("threshold", 0.2))
        fitted = {} if ctc else dataclasses.asdict(BY_SOUND)
        self.calibration = build("calibration", Calibration, retrieval_conf.get("calibration"), **fitted)

    def _read_checks(self, guard_conf, repair_conf, rescoring_conf) -> None:
        """Read what is done to transcripts after the LLM wrote them."""
        self.guards = build("guard_conf", Guards, guard_conf)
        self.repair = build("repair_conf", Repair, repair_conf)
        self.rescoring = build("rescoring_conf", Rescoring, rescoring_conf)

    @property
    def hearing(self) -> Hearing:
        """What the CTC head has learned to hear; found when it is first needed."""
        if self._hearing is None:
            self._hearing = Hearing.of_head(self.tokenizer, self._ctc_output.weight, BLANK)
        return self._hearing

    @property
    def _ctc_output(self) -> nn.Linear:
        layer = None if self.ctc is None else self.ctc.ctc_lo
        if layer is None:
            raise ConfigError("this model has no CTC head (ctc: null)")
        return layer

    def train(self, mode: bool = True):
        """Switch to training; frozen parts stay in evaluation mode."""
        super().train(mode)
        if mode:
            self._hearing = None
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def state_dict(self, *args, **kwargs):
        """List what a checkpoint holds; see ``saved_names``."""
        return saved_state(self, super().state_dict(*args, **kwargs))

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        """Load a checkpoint: what it leaves to the backbone stays."""
        self._hearing = None
        whole = whole_state(self, state_dict)
        found = super().load_state_dict(whole, strict=False, assign=assign)
        needed = set(saved_names(self).values())
        found.missing_keys[:] = [name for name in found.missing_keys if name in needed]
        if strict and (found.missing_keys or found.unexpected_keys):
            raise RuntimeError(
                f"state_dict: missing {found.missing_keys}, unexpected {found.unexpected_keys}"
            )
        return found

    def on_pretrained_model_loaded(self, loaded_keys: frozenset) -> None:
        """Refuse weights that do not fit; FunASR calls this after it has loaded them.

        Raises:
            ConfigError: naming the first 20 of each kind, unless ``ignore_init_mismatch``.
        """
        report_of(self, loaded_keys, self.init_param).settle("init_param", self.ignore_init_mismatch)

    @property
    def language_model(self) -> LanguageModel:
        """The LLM with what is its own: adaptor, pooling, evidence, prompts."""
        return CausalLM(
            self.llm,
            self.tokenizer,
            self.prompts,
            self.audio_adaptor,
            self.context_pooling,
            self.evidence,
            self.new_tokens,
            self.low_frame_rate,
            self.ctc_head.blank,
            self.training,
        )

    @property
    def ctc_head(self) -> CTCHead:
        """The alphabet of the CTC head: here the LLM's tokenizer, of which id 0 is the blank."""
        knows = self.ctc is not None and not self.training
        return CTCHead(self.tokenizer, BLANK, self.hearing if knows else None)

    def encode(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> Encoded:
        """Run encoder, CTC head and letter head.

        Args:
            speech: (B, frames, input_size) features.
            speech_lengths: (B,) frames.
        """
        speech = speech.clone()  # SpecAugment masks in place, and FunASR's encoders scale in place
        if self.specaug is not None and self.training and "audio_encoder" not in self.frozen:
            speech, speech_lengths = self.specaug(speech, speech_lengths)
        dtype = next(self.audio_encoder.parameters()).dtype
        precision = exact_unless(self.training, speech.device)
        if dtype != torch.float32:  # FunASR's encoders add positions in fp32
            precision = torch.autocast(speech.device.type, dtype)
        learns = torch.is_grad_enabled() and "audio_encoder" not in self.frozen
        with precision, torch.set_grad_enabled(learns):
            frames, lengths = self.audio_encoder(speech, speech_lengths)
        frames = frames.to(dtype)
        frame_mask = torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
        log_probs = None
        if self.ctc is not None:
            with torch.autocast(frames.device.type, enabled=False):  # evidence is a sum of small differences
                scores = self._ctc_output(frames.to(self._ctc_output.weight.dtype))
                log_probs = scores.float().log_softmax(-1)
        letters = None
        if self.span_head is not None:
            learns = torch.is_grad_enabled() and self.objective.letter_weight > 0
            with exact_unless(self.training, frames.device), torch.set_grad_enabled(learns):
                letters = self.span_head.letters(frames, frame_mask)
        return Encoded(frames, frame_mask, speech_lengths, log_probs, letters)

    def weigh(
        self,
        encoded: Encoded,
        lists: list[BiasingList],
        transcripts: Sequence[str] | None = None,
        pool: int = POOL,
        reward: float | None = None,
        judged: Sequence[int] | None = None,
    ) -> Evidence | None:
        """Collect the evidence of each list's best keywords: from the CTC head and span head, or by sound.

        Args:
            encoded: the batch.
            lists: biasing lists, one an utterance.
            transcripts: first transcripts of the utterances, for a model without a CTC head.
            pool: keywords to find.
            reward: nats that an aligned piece is worth; None for the model's own.
            judged: of each list, the best that the span head judges, and that are left; None for all.

        Returns:
            The evidence, or None when all lists are empty.
        """
        if not any(map(len, lists)):
            return None
        reward = self.calibration.reward if reward is None else reward
        if self.ctc is None:
            return weigh_by_sound(transcripts or (), lists, pool=pool, reward=reward)
        if not self.training:  # while it learns, what it has learned says nothing
            lists = [each.heard_by(self.hearing) for each in lists]
        if not any(each.num_heard for each in lists):
            return None
        log_probs, blank = encoded.heard_pieces.detach(), self.ctc_head.blank
        evidence = weigh_lists(
            log_probs, encoded.frame_mask, lists, self.word_start, pool=pool, reward=reward, blank=blank
        )
        if self.span_head is None:
            return evidence
        if judged is not None:
            evidence = evidence.best(judged, reward)
        with exact_unless(self.training, encoded.frames.device):
            span = self.span_head(encoded, self._ctc_output.weight, self.spelling, evidence, blank)
        evidence = dataclasses.replace(evidence, span=span)
        if evidence.short.any():
            mask = torch.arange(evidence.ids.shape[2], device=span.device) < evidence.pieces[..., None]
            whole = word_scores(encoded.heard_letters, encoded.frame_mask, self.spelling, evidence.ids, mask)
            whole = torch.where(evidence.short & mask.any(2), whole, 0.0)
            evidence = dataclasses.replace(evidence, whole=whole)
        return evidence

    @torch.no_grad()
    def retrieve(
        self,
        encoded: Encoded,
        lists: list[BiasingList],
        top: int | None = None,
        threshold: float | None = None,
        transcripts: Sequence[str] | None = None,
    ) -> Shortlist | None:
        """Cut each utterance's biasing list to the keywords with the best acoustic evidence.

        Returns:
            The shortlist, or None when all lists are empty.
        """
        least = top or self.top
        judged = [max(least, POOL if len(each) >= LONG else JUDGED) for each in lists]
        evidence = self.weigh(encoded, lists, transcripts, pool=max(least, POOL), judged=judged)
        return self.shortlist(evidence, top, threshold)

    @torch.no_grad()
    def shortlist(
        self, evidence: Evidence | None, top: int | None = None, threshold: float | None = None
    ) -> Shortlist | None:
        """Keep the most probable keywords of what ``weigh`` found."""
        if evidence is None:
            return None
        top = self.top if top is None else top
        threshold = self.threshold if threshold is None else threshold
        return cut(evidence, top, threshold, self.calibration)

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        texts: list[str],
        ctc_texts: list[str],
        biasing_lists: list[list[str]],
        keywords: list[list[str]],
        seeds: list[int] | None = None,
        keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, dict, torch.Tensor]:
        """Compute the training loss; see ``Objective``.

        Args:
            speech: (B, frames, input_size) features.
            speech_lengths: (B,) frames.
            texts: B transcripts for the LLM.
            ctc_texts: B transcripts for the CTC head, as spoken.
            biasing_lists: B lists of keywords offered.
            keywords: B lists of those that are spoken.
            seeds: B seeds of what is drawn for an utterance: its task, and the order of its keywords.
            keys: B names of utterances; not read.

        Returns:
            loss (scalar), stats (scalars by name), weight (tokens of the answers; utterances, where the LLM
            is not trained), as FunASR's Trainer has it.
        """
        encoded = self.encode(speech, speech_lengths)
        return self.objective(self, encoded, texts, ctc_texts, biasing_lists, keywords, seeds)

    def inference(self, data_in, data_lengths=None, key=None, tokenizer=None, frontend=None, **kwargs):
        """Recognise a batch; FunASR's AutoModel calls this. See ``funasr_sap.inference.recognise``."""
        from funasr_sap.inference import recognise

        return recognise(self, data_in, key=key, frontend=frontend, **kwargs)
