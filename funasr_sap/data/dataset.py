"""The dataset of training: speech, transcripts, and biasing lists drawn anew each epoch."""

import logging
import math
import random
from collections import UserList
from collections.abc import Sequence

import numpy as np
import torch
from funasr.register import tables
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.audio import load_audio
from funasr_sap.audio.frontend import Frontend
from funasr_sap.data.biasing import draw_biasing_list, longest_phrase, read_words
from funasr_sap.data.jsonl import Utterance, read_jsonl
from funasr_sap.data.scp2jsonl import speech_length
from funasr_sap.data.spelling import respell_in_text
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.models.builder import check_keys
from funasr_sap.text.blank import is_blank, warn_of_blank
from funasr_sap.text.words import phrase_key, phrases, split_words

# What is left out for its length: speech in frames of 10 ms, transcripts in tokens.
LENGTH_KEYS = ("min_source_length", "max_source_length", "min_target_length", "max_target_length")
FRAMES_PER_SECOND = 100  # of 10 ms
FRAMES_LOST = 2  # at the end, which no whole window of 25 ms begins in
# Keys of dataset_conf that FunASR's dataloader and samplers read; its index_ds names a reader of JSONL.
FUNASR_KEYS = frozenset(
    {
        *("dataloader", "batch_sampler", "batch_size", "batch_type", "sort_size", "shuffle", "drop_last"),
        *("num_workers", "pin_memory", "persistent_workers", "prefetch_factor", "index_ds"),
        *("max_token_length", "min_token_length", "data_split_num", "rank_split"),
        *("length_scale_source", "batch_size_sample_max", *LENGTH_KEYS),
    }
)
FRAME_SHIFT_MS = 10  # of ``speech_length``
STAND_IN_SECONDS = 1.0  # of silence, where nothing of a batch can be read

logger = logging.getLogger(__name__)


@tables.register("dataset_classes", "SAP2Dataset")
class SAP2Dataset(torch.utils.data.Dataset):
    """Utterances of a JSONL file.

    What is drawn for an utterance follows from the seed, the epoch and its place in the file alone. So any
    number of workers and processes draw the same, and so does a training that was interrupted.

    Args:
        path: a JSONL file.
        frontend: FunASR's frontend.
        tokenizer: unused; the model tokenises.
        is_training: False draws the same biasing list for an utterance in each epoch.
        max_distractors: a biasing list gets 0 to this many words that are not spoken.
        empty_list: share of utterances without any biasing list.
        no_rare_words: share of biasing lists without the words that are spoken.
        distractors: a file of further words to draw, one a line; else they are rare words of ``path``.
        whole_pool: share of biasing lists that are all words there are to draw: the most rivals possible.
        respell: share of utterances whose rare words are respelt, in the list and in the transcript.
        cache_features: keep features in memory (fp16) after they were computed once.
        seed: of the draws.
        max_bad: how many unreadable utterances an epoch may pass over; the trainer counts them.
        keep_empty: train on transcripts that say nothing, too: clips without speech, so that the model learns
            to be silent. Else they are left out, and counted; validation keeps them.
        **conf: keys of FunASR's dataloader and samplers, and its limits of lengths.

    Raises:
        DataError: for bad lines, utterances without a transcript, a file without utterances, and one of which
            none is left.
        ConfigError: for unknown keys, and for data split into slices.
    """

    def __init__(
        self,
        path: str,
        frontend: Frontend | None = None,
        tokenizer: object = None,
        is_training: bool = True,
        max_distractors: int = 100,
        empty_list: float = 0.1,
        no_rare_words: float = 0.2,
        distractors: str | None = None,
        whole_pool: float = 0.0,
        respell: float = 0.0,
        cache_features: bool = False,
        seed: int = 0,
        max_bad: int = 0,
        keep_empty: bool = False,
        **conf,
    ):
        check_keys("dataset_conf", conf, FUNASR_KEYS)
        if conf.get("data_split_num", 1) != 1:
            raise ConfigError(f"dataset_conf.data_split_num: expected 1, got {conf['data_split_num']!r}")
        self._frontend = frontend
        self.is_training = is_training
        self.max_distractors = max_distractors
        self.empty_list, self.no_rare_words, self.whole_pool = empty_list, no_rare_words, whole_pool
        self.respell = respell if is_training else 0.0
        self.seed, self.epoch, self.max_bad = seed, 0, max_bad
        self.utterances = read_jsonl(path)
        self.lengths = {}  # of what the file gives no length for
        silent = [f"{each.key}: no transcript" for each in self.utterances if each.text is None]
        if silent:
            raise DataError.from_lines(f"cannot train on {path}", silent)
        if not self.utterances:
            raise DataError(f"{path} holds no utterance; expected a JSONL line for each")
        if is_training and not keep_empty:
            self._leave_out_blank(path)
        self._leave_out_instants(path)
        words = read_words(distractors) if distractors else []
        words = sorted({*words, *(word for each in self.utterances for word in each.keywords or ())})
        # Whole, it is one object for all: tokenised and indexed once. FunASR's trainer would copy a list.
        self.pool = UserList(words)
        self.pool_keys = {phrase_key(word) for word in self.pool}
        self.longest_phrase = longest_phrase(self.pool)
        self.cache = {} if cache_features else None
        limits = {name: conf[name] for name in LENGTH_KEYS if name in conf}
        hears = getattr(
            frontend, "max_seconds", None
        )  # all that the encoder takes: what is longer is no error
        if hears is not None:
            longest = limits.get("max_source_length", math.inf)
            limits["max_source_length"] = min(longest, FRAMES_PER_SECOND * hears - FRAMES_LOST)
        self._leave_out(path, limits)

    def _leave_out_blank(self, path: str) -> None:
        """Leave out what has speech and no words: of a hole in its data, a model learns to say nothing."""
        blank = [each.key for each in self.utterances if is_blank(each.transcript)]
        keep = "++dataset_conf.keep_empty=true trains on them, as clips without speech"
        if len(blank) == len(self.utterances):
            raise DataError(f"{path}: all {len(blank)} transcripts are empty, nothing is left; {keep}")
        warn_of_blank(path, blank, f"they are left out; {keep}")
        self.utterances = [each for each in self.utterances if not is_blank(each.transcript)]

    def _leave_out_instants(self, path: str) -> None:
        """Leave out what is too short for a single frame, where the file says so and the audio agrees."""
        empty = {index for index, each in enumerate(self.utterances) if each.speech_length == 0}
        empty = {index for index in empty if self.get_source_len(index) == 0}
        self.lengths = {}  # by the places of before
        if not empty:
            return
        first = self.utterances[min(empty)].key
        what = f"{path}: left out {len(empty)} utterance(s) shorter than 25 ms, the first is {first}"
        if len(empty) == len(self.utterances):
            raise DataError(f"{what}; nothing is left")
        logger.warning("%s", what)
        self.utterances = [each for index, each in enumerate(self.utterances) if index not in empty]

    def _leave_out(self, path: str, limits: dict[str, int]) -> None:
        """Leave out what is too short or too long, and say how many these are, which FunASR does not."""
        if not limits:
            return
        kept = [
            utterance
            for index, utterance in enumerate(self.utterances)
            if all(
                limits.get(f"min_{kind}_length", 0) <= length <= limits.get(f"max_{kind}_length", math.inf)
                for kind, length in (
                    ("source", self.get_source_len(index)),
                    ("target", self.get_target_len(index)),
                )
            )
        ]
        shown = " ".join(f"{name}={value}" for name, value in limits.items())
        total = len(self.utterances)
        what = f"{path}: left out {total - len(kept)} of {total} utterances, for {shown}"
        if not kept:
            raise DataError(what)
        if len(kept) < total:
            logger.warning("%s", what)
        self.utterances, self.lengths = kept, {}

    def __len__(self) -> int:
        return len(self.utterances)

    def set_epoch(self, epoch: int) -> None:
        """Draw for another epoch; validation draws the same in all of them."""
        self.epoch = epoch if self.is_training else 0

    def get_source_len(self, index: int) -> int:
        """Tell the length of the speech, in frames of 10 ms; from the audio where the file does not say.

        What cannot be read has a length of 1 where ``max_bad`` allows it: reading it will count it.
        """
        utterance = self.utterances[index]
        if utterance.speech_length:  # 0 is what some tools write where they do not know
            return utterance.speech_length
        if index not in self.lengths:
            try:
                self.lengths[index] = speech_length(utterance.audio)
            except ValueError as error:
                if not self.max_bad:
                    raise DataError(f"{utterance.key} ({utterance.source}): {error}") from None
                self.lengths[index] = 1
        return self.lengths[index]

    def get_target_len(self, index: int) -> int:
        """Tell the length of the transcript, in tokens, or words where the file does not say."""
        utterance = self.utterances[index]
        length = utterance.text_length
        return len(split_words(utterance.transcript)) if length is None else length

    def __getitem__(self, index: int) -> dict:
        """Read one utterance: features (frames, width), transcripts and lists of words.

        Raises:
            DataError: naming the utterance whose audio cannot be read.
        """
        utterance = self.utterances[index]
        rng = random.Random(f"{self.seed} {self.epoch} {index}")
        rare_words = list(utterance.keywords or ())
        text = utterance.transcript
        if rng.random() < self.respell:
            text, rare_words = respell_in_text(text, rare_words, rng)
        return {
            "speech": self._features(index, utterance),
            "texts": text,
            "ctc_texts": utterance.transcript,
            "biasing_lists": self._draw(rare_words, utterance.transcript, rng),
            "keywords": rare_words,
            "seeds": rng.getrandbits(32),
            "keys": utterance.key,
        }

    def __getitems__(self, indices: list[int]) -> list[dict]:
        """Read a batch; in place of an utterance that cannot be read stands why (``bad``)."""
        samples = []
        for index in indices:
            try:
                samples.append(self[index])
            except DataError as error:
                samples.append({"bad": str(error)})
        return samples

    def collator(self, samples: list[dict]) -> dict:
        """Pad a batch.

        Args:
            samples: of ``__getitem__`` or ``__getitems__``.

        Returns:
            ``speech`` (B, frames, width), ``speech_lengths`` (B,), lists of B; ``bad`` says what could not be
            read, where there is such. Where that is all of them, an utterance of silence with the key None
            makes the batch.
        """
        bad = [sample["bad"] for sample in samples if "bad" in sample]
        samples = [sample for sample in samples if "bad" not in sample] or [self._stand_in()]
        batch = {name: [sample[name] for sample in samples] for name in samples[0]}
        speech = batch.pop("speech")
        return {
            "speech": pad_sequence(speech, batch_first=True),
            "speech_lengths": torch.tensor([len(each) for each in speech]),
            **batch,
            **({"bad": bad} if bad else {}),
        }

    def _stand_in(self) -> dict:
        texts = {"texts": "", "ctc_texts": "", "biasing_lists": [], "keywords": [], "seeds": 0, "keys": None}
        return {"speech": self._frames(torch.zeros(int(STAND_IN_SECONDS * self.frontend.fs))), **texts}

    def _draw(self, rare_words: list[str], text: str, rng: random.Random) -> Sequence[str]:
        if rng.random() < self.empty_list:
            return []
        if self.whole_pool and rng.random() < self.whole_pool:  # without it, seeds draw what they drew before
            return self.pool
        true = [] if rng.random() < self.no_rare_words else rare_words
        spoken = phrases([text, *rare_words], self.longest_phrase)
        others = len(self.pool_keys) - len(self.pool_keys & spoken)
        num = min(rng.randint(0, self.max_distractors), others)
        return draw_biasing_list(true, self.pool, num, rng, exclude=spoken)

    def _features(self, index: int, utterance: Utterance) -> torch.Tensor:
        if self.cache is not None and index in self.cache:
            return torch.from_numpy(self.cache[index]).float()
        try:
            features = self._frames(load_audio(utterance.audio, self.frontend.fs))
        except DataError as error:
            raise DataError(f"{utterance.key}: {error}") from None
        if self.cache is None:
            return features
        self.cache[index] = features.numpy().astype(np.float16)
        return torch.from_numpy(self.cache[index]).float()  # the same the first time as later

    def _frames(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.frontend(waveform[None], [len(waveform)])[0][0]

    @property
    def frontend(self) -> Frontend:
        """FunASR's frontend, where one was given; ConfigError else."""
        if self._frontend is None:
            raise ConfigError("dataset: features need a frontend, and none was given")
        return self._frontend
