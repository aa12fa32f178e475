"""The dataset of training: speech, transcripts, and biasing lists drawn anew each time."""

import random

import numpy as np
import torch
from funasr.register import tables
from torch.nn.utils.rnn import pad_sequence

from funasr_sap.audio import load_audio
from funasr_sap.data.biasing import draw_biasing_list
from funasr_sap.data.jsonl import Utterance, read_jsonl
from funasr_sap.data.spelling import respell_in_text
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
        DataError: for bad lines.
        ConfigError: for unknown keys.
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
        self.frontend = frontend
        self.is_training = is_training
        self.max_distractors = max_distractors
        self.empty_list, self.no_rare_words = empty_list, no_rare_words
        self.respell = respell if is_training else 0.0
        self.utterances = read_jsonl(path)
        self.pool = sorted({word for each in self.utterances for word in each.keywords or ()})
        self.cache = {} if cache_features else None

    def __len__(self) -> int:
        return len(self.utterances)

    def get_source_len(self, index: int) -> int:
        """Tell the length of the speech, in frames of 10 ms."""
        return self.utterances[index].speech_length or 1

    def get_target_len(self, index: int) -> int:
        """Tell the length of the transcript, in tokens."""
        return self.utterances[index].text_length or 1

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
        num = min(rng.randint(0, self.max_distractors), max(0, len(self.pool) - 20))
        return draw_biasing_list(true, self.pool, num, rng, exclude={*rare_words, *text.split()})

    def _features(self, index: int, utterance: Utterance) -> torch.Tensor:
        if self.cache is not None and index in self.cache:
            return torch.from_numpy(self.cache[index]).float()
        waveform = load_audio(utterance.source, self.frontend.fs)
        features, _ = self.frontend(waveform[None], [len(waveform)])
        if self.cache is not None:
            self.cache[index] = features[0].numpy().astype(np.float16)
        return features[0]
