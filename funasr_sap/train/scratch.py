"""A model directory to train from nothing: a tokenizer and feature statistics learned from a corpus.

python -m funasr_sap.train.scratch --config sap2_tiny --train train.jsonl --output-dir DIR
"""

import argparse
import random
import re
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from funasr_sap.audio import load_audio
from funasr_sap.audio.frontend import Frontend
from funasr_sap.configurations import find_configuration
from funasr_sap.context.prompt_table import load_prompts, special_tokens
from funasr_sap.data.files import atomic_write
from funasr_sap.data.jsonl import read_jsonl
from funasr_sap.models.directory import write_model_directory
from funasr_sap.tool import run, split_help

BLANK_TOKEN = "<|blank|>"  # id 0: the CTC blank, and the padding of the LLM
PROMPT_REPEATS = 2000  # how often the prompts stand in the tokenizer's training text


def train_tokenizer(texts: list[str], vocab_size: int, output_dir: Path) -> PreTrainedTokenizerFast:
    """Train a lower-case byte-level BPE tokenizer; any text can be spelt with it.

    The prompts are part of its training text, many times, so that they cost few tokens.

    Args:
        texts: transcripts.
        vocab_size: pieces, the 256 bytes and the special tokens included.
        output_dir: where it is saved in transformers' format.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BLANK_TOKEN, *special_tokens()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    english = [part for task in load_prompts()["tasks"].values() for part in task["en"].values()]
    english.append(re.sub(r"<[|][^|]*[|]>", " ", load_prompts()["chat"]))
    tokenizer.train_from_iterator(texts + english * PROMPT_REPEATS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=BLANK_TOKEN, eos_token="<|im_end|>")
    fast.save_pretrained(output_dir)
    return fast


def compute_cmvn(sources: list[str], frontend: Frontend, path: Path) -> None:
    """Measure mean and deviation of the features and write them as Kaldi's ``am.mvn``.

    Args:
        sources: audio files.
        frontend: FunASR's frontend, without statistics of its own.
        path: the file to write.
    """
    total = squares = torch.zeros((), dtype=torch.float64)
    frames = 0
    for source in tqdm(sources, desc="feature statistics", disable=None):
        waveform = load_audio(source, frontend.fs)
        features = frontend(waveform[None], [len(waveform)])[0][0].double()
        total, squares, frames = (
            total + features.sum(0),
            squares + features.square().sum(0),
            frames + len(features),
        )
    mean = total / frames
    scale = 1 / (squares / frames - mean.square()).clamp(min=1e-8).sqrt()
    with atomic_write(path) as stream:
        size = len(mean)
        stream.write(f"<Nnet>\n<Splice> {size} {size}\n[ 0 ]\n")
        for name, values in (("AddShift", -mean), ("Rescale", scale)):
            row = " ".join(f"{value:.6f}" for value in values.tolist())
            stream.write(f"<{name}> {size} {size}\n<LearnRateCoef> 0 [ {row} ]\n")
        stream.write("</Nnet>\n")


def prepare(config: dict, train: Path, output_dir: Path, cmvn_utterances: int = 2000, seed: int = 0) -> None:
    """Write a model directory without weights.

    Args:
        config: the model's configuration.
        train: JSONL of the training utterances.
        output_dir: the directory.
        cmvn_utterances: how many utterances the statistics are measured on.
        seed: which ones.
    """
    from funasr.register import tables

    utterances = read_jsonl(train)
    output_dir.mkdir(parents=True, exist_ok=True)
    train_tokenizer([each.transcript for each in utterances], config["vocab_size"], output_dir / "tokenizer")
    frontend = tables.frontend_classes[config["frontend"]](**config["frontend_conf"])
    sample = random.Random(seed).sample(utterances, min(cmvn_utterances, len(utterances)))
    torch.manual_seed(seed)
    compute_cmvn([each.audio for each in sample], frontend, output_dir / "am.mvn")
    write_model_directory(output_dir, config | {"untrained_parts": ["ctc", "llm", "span_head"]})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=split_help(__doc__)[0])
    parser.add_argument("--config", required=True, help="the model's YAML, or the name of the package's")
    parser.add_argument("--train", type=Path, required=True, help="JSONL of the training utterances")
    parser.add_argument("--output-dir", type=Path, required=True, help="the model directory to write")
    arguments = parser.parse_args(argv)
    import funasr_sap  # noqa: F401  (registers the classes)

    config = yaml.safe_load(find_configuration(arguments.config).read_text(encoding="utf-8"))
    prepare(config, arguments.train, arguments.output_dir)


if __name__ == "__main__":
    run(main)
