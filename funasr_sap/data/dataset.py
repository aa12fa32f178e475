"""The dataset of training: speech, transcripts, and biasing lists drawn anew each time."""

import random

import numpy as np
import torch
from funasr.register import tables
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.audio import load_audio
from funasr_sap.data.biasing import draw_biasing_list
from funasr_sap.data.jsonl import Utterance, read_jsonl
from funasr_sap.data.scp2jsonl import speech_length, split_words
from funasr_sap.data.spelling import respell_in_text
from funasr_sap.errors import ConfigError, DataError
from funasr_sap.models.builder import check_keys

# Keys of dataset_conf that FunASR's dataloader and samplers read.
FUNASR_KEYS = frozenset(
    {
        *("dataloader", "batch_sampler", "batch_size", "batch_type", "sort_size", "shuffle", "drop_last"),
        *("num_workers", "pin_memory", "persistent_workers", "prefetch_factor"),
        *("max_token_length", "min_token_length", "data_split_num", "rank_split"),
    }
)
FRAME_SHIFT_MS = 10  # of ``speech_length``


@tables.register("dataset_classes", "SAP2Dataset")
class SAP2Dataset(torch.utils.data.Dataset):
    """Utterances of a JSONL file.

    Args:
        path: a JSONL file.
        frontend: FunASR's frontend.
        tokenizer: unused; the model tokenises.
        is_training: False draws the same biasing list for an utterance each time.
        max_distractors: a biasing list gets 0 to this many words that are not spoken.
        empty_list: share of utterances without any biasing list.
        no_rare_words: share of biasing lists without the words that are spoken.
        respell: share of utterances whose rare words are respelt, in the list and in the transcript.
        cache_features: keep features in memory (fp16) after they were computed once.
        **conf: keys of FunASR's dataloader and samplers.

    Raises:
        DataError: for bad lines, and utterances without a transcript (an empty one is a transcript).
        ConfigError: for unknown keys, and for data split into slices.
    """

    def __init__(
        self,
        path: str,
        frontend=None,
        tokenizer=None,
        is_training: bool = True,
        max_distractors: int = 100,
        empty_list: float = 0.1,
        no_rare_words: float = 0.2,
        respell: float = 0.0,
        cache_features: bool = False,
        **conf,
    ):
        check_keys("dataset_conf", conf, FUNASR_KEYS)
        if conf.get("data_split_num", 1) != 1:
            raise ConfigError(f"dataset_conf.data_split_num: expected 1, got {conf['data_split_num']!r}")
        self.frontend = frontend
        self.is_training = is_training
        self.max_distractors = max_distractors
        self.empty_list, self.no_rare_words = empty_list, no_rare_words
        self.respell = respell if is_training else 0.0
        self.utterances = read_jsonl(path)
        silent = [f"{each.key}: no transcript" for each in self.utterances if each.text is None]
        if silent:
            raise DataError.from_lines(f"cannot train on {path}", silent)
        self.pool = sorted({word for each in self.utterances for word in each.keywords or ()})
        self.folded_pool = {word.casefold() for word in self.pool}
        self.lengths = {}  # of what the file gives no length for
        self.cache = {} if cache_features else None

    def __len__(self) -> int:
        return len(self.utterances)

    def get_source_len(self, index: int) -> int:
        """Tell the length of the speech, in frames of 10 ms; from the audio where the file does not say."""
        utterance = self.utterances[index]
        if utterance.speech_length is not None:
            return utterance.speech_length
        if index not in self.lengths:
            try:
                self.lengths[index] = speech_length(utterance.source)
            except ValueError as error:
                raise DataError(f"{utterance.key} ({utterance.source}): {error}") from None
        return self.lengths[index]

    def get_target_len(self, index: int) -> int:
        """Tell the length of the transcript, in tokens, or words where the file does not say."""
        utterance = self.utterances[index]
        return len(split_words(utterance.text)) if utterance.text_length is None else utterance.text_length

    def __getitem__(self, index: int) -> dict:
        """Read one utterance: features (frames, width), transcripts and lists of words."""
        utterance = self.utterances[index]
        rng = random.Random(index) if not self.is_training else random
        rare_words = list(utterance.keywords or ())
        text = utterance.text
        if rng.random() < self.respell:
            text, rare_words = respell_in_text(text, rare_words, rng)
        return {
            "speech": self._features(index, utterance),
            "texts": text,
            "ctc_texts": utterance.text,
            "biasing_lists": self._draw(rare_words, utterance.text, rng),
            "keywords": rare_words,
        }

    def collator(self, samples: list[dict]) -> dict:
        """Pad a batch: ``speech`` (B, frames, width), ``speech_lengths`` (B,), lists of B."""
        batch = {name: [sample[name] for sample in samples] for name in samples[0]}
        speech = batch.pop("speech")
        return {
            "speech": pad_sequence(speech, batch_first=True),
            "speech_lengths": torch.tensor([len(each) for each in speech]),
            **batch,
        }

    def _draw(self, rare_words: list[str], text: str, rng) -> list[str]:
        if rng.random() < self.empty_list:
            return []
        true = [] if rng.random() < self.no_rare_words else rare_words
        spoken = {*rare_words, *text.split()}
        others = len(self.folded_pool) - len(self.folded_pool & {word.casefold() for word in spoken})
        num = min(rng.randint(0, self.max_distractors), others)
        return draw_biasing_list(true, self.pool, num, rng, exclude=spoken)

    def _features(self, index: int, utterance: Utterance) -> torch.Tensor:
        if self.cache is not None and index in self.cache:
            return torch.from_numpy(self.cache[index]).float()
        waveform = load_audio(utterance.source, self.frontend.fs)
        features, _ = self.frontend(waveform[None], [len(waveform)])
        if self.cache is not None:
            self.cache[index] = features[0].numpy().astype(np.float16)
        return features[0]
