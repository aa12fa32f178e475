#!/usr/bin/env python3
r"""Pooling of the context: the LLM finetuned with several poolings, on the same data, steps and seeds.

python benchmarks/pooling.py --train train.jsonl --test data/dev --output-dir exp/pooling

Each run starts from the same model, trains the LLM, the adaptor and the evidence with one pooling (the
encoder is frozen), and decodes the test set with N distractors. The same command goes on from what is in
--output-dir, and prints the table. Repair, rescoring and guards are off: what is compared is what the
LLM makes of the pooled context.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import random
import sys
import time
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from funasr_sap.data.biasing import make_biasing_lists
from funasr_sap.data.dataset import SAP2Dataset
from funasr_sap.data.files import atomic_write
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary
from funasr_sap.metrics.report import describe_environment, markdown_table
from funasr_sap.metrics.significance import bootstrap_rates, compare, interval
from funasr_sap.metrics.wer import score
from funasr_sap.models.objective import Objective
from funasr_sap.models.pooling import SpeechDrivenPooling
from funasr_sap.tool import run

SIZES = (20, 100, 500)
UNPRUNED = (20, 100)  # 500 words would be a prompt of 1,500 tokens, far beyond what was trained
SAMPLES = 2000  # of the bootstrap
OFF = {"repair": False, "rescore": False, "guards": False}


class MaximumPooling(SpeechDrivenPooling):
    """Weigh a token by the frame that looks at it most, in place of the mean over frames."""

    def attention(self, audio, audio_mask, context, context_mask):
        """Take the largest weight over real frames: (B, H, Tc)."""
        frames = audio.new_zeros(len(audio), self.num_heads, context.shape[1], dtype=torch.float32)
        for start in range(audio.shape[1]):
            one = slice(start, start + 1)
            weight = self._attention_sum(audio[:, one], audio_mask[:, one], context, context_mask)
            frames = torch.maximum(frames, weight)
        return frames


class PlacedPooling(SpeechDrivenPooling):
    """Add a learned vector for the place inside the window, so that a sum keeps the order."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.place = nn.Parameter(0.02 * torch.randn(self.window, self.dim))

    def forward(self, audio, audio_mask, context, context_mask):
        """Pool what knows its place."""
        place = torch.arange(context.shape[1], device=context.device) % self.window
        return super().forward(audio, audio_mask, context + self.place[place], context_mask)


class ProjectedPooling(SpeechDrivenPooling):
    """Learn the projections of queries and keys, from the identity on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.query, self.key = (nn.Linear(self.dim, self.dim, bias=False) for _ in range(2))
        nn.init.eye_(self.query.weight)
        nn.init.eye_(self.key.weight)

    def attention(self, audio, audio_mask, context, context_mask):
        """Attend by what was learned."""
        return super().attention(self.query(audio), audio_mask, self.key(context), context_mask)


@dataclasses.dataclass(frozen=True)
class Variant:
    """One pooling: its class, window and mode; ``aligned`` windows begin where keywords begin."""

    window: int = 1
    mode: str = "speech"
    kind: type = SpeechDrivenPooling
    aligned: bool = False

    def put_into(self, model) -> None:
        """Give a model this pooling."""
        old = model.context_pooling
        model.context_pooling = self.kind(old.dim, old.num_heads, self.window, self.mode)
        if self.aligned:
            write = model.prompts.write_context
            model.prompts.write_context = lambda *args: align(*write(*args), self.window)


def align(ids: list[int], owner: list[int], window: int) -> tuple[list[int], list[int]]:
    """Repeat the token after each keyword until the next one begins a window."""
    new_ids, new_owner = [], []
    for place, (token, who) in enumerate(zip(ids, owner, strict=True)):
        if place and who >= 0 and owner[place - 1] != who:
            missing = -len(new_ids) % window
            new_ids += [new_ids[-1]] * missing
            new_owner += [-1] * missing
        new_ids.append(token)
        new_owner.append(who)
    return new_ids, new_owner


VARIANTS = {
    "none": Variant(),
    "mean, 2": Variant(2, "mean"),
    "speech, 2": Variant(2),
    "mean, 4": Variant(4, "mean"),
    "speech, 4": Variant(4),
    "speech, 2, maximum over frames": Variant(2, kind=MaximumPooling),
    "speech, 2, place in the window": Variant(2, kind=PlacedPooling),
    "speech, 2, learned query and key": Variant(2, kind=ProjectedPooling),
    "speech, 2, windows of one keyword": Variant(2, aligned=True),
}


def main(argv=None):
    """Train and decode each variant with each seed, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="where all start (default: %(default)s)")
    parser.add_argument("--train", required=True, metavar="JSONL", help="training data")
    parser.add_argument("--test", required=True, type=Path, metavar="DIR", help="wav.scp, text and keywords")
    parser.add_argument("--output-dir", required=True, type=Path, metavar="DIR", help="keeps the figures")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--steps", type=int, default=250, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=16, help="utterances (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.001, help="default: %(default)s")
    parser.add_argument("--utterances", type=int, default=200, help="of the test set (default: %(default)s)")
    parser.add_argument("--unpruned", type=int, default=0, help="decoded with prune=none too (default: none)")
    arguments = parser.parse_args(argv)
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    runs = [(name, seed) for seed in arguments.seeds for name in arguments.variants]
    for name, seed in tqdm(runs, desc="runs", disable=None):
        path = result_path(arguments, name, seed)
        if not path.exists():
            with contextlib.redirect_stdout(sys.stderr):
                result = one_run(VARIANTS[name], seed, arguments)
            with atomic_write(path) as file:
                json.dump(result, file)
    print("\n".join(describe_environment()) + "\n")
    print(table(arguments))


def result_path(arguments, name: str, seed: int) -> Path:
    """Name the file of a run."""
    return arguments.output_dir / f"{name.replace(', ', '-').replace(' ', '_')}.{arguments.steps}.{seed}.json"


def one_run(variant: Variant, seed: int, arguments) -> dict:
    """Train and decode: losses, transcripts, milliseconds and context tokens of each condition."""
    from funasr_sap import AutoModel

    torch.manual_seed(seed)
    built = AutoModel(model=arguments.model, device="cpu", ncpu=torch.get_num_threads(), disable_pbar=True)
    built.model.llm.set_attn_implementation("eager")  # a third faster to train at this size
    variant.put_into(built.model)
    losses = finetune(built, seed, arguments)
    built.model.eval()
    built.model.llm.set_attn_implementation("sdpa")
    conditions = [(n, "retrieval", arguments.utterances) for n in SIZES]
    conditions += [(n, "none", arguments.unpruned) for n in UNPRUNED if arguments.unpruned]
    decoded = {f"{n} {prune}": transcribe(built, n, prune, utts, arguments) for n, prune, utts in conditions}
    return {"losses": losses, **decoded}


def finetune(built, seed: int, arguments) -> list[float]:
    """Train all but the encoder and the CTC head; the loss of each step."""
    model = built.model
    model.frozen = ["audio_encoder", "ctc"]
    tasks = {"transcribe": 0.1, "transcribe_with_context": 0.9}
    model.objective = Objective(ctc_weight=0.0, llm_weight=1.0, task_weights=tasks)
    for name in model.frozen:
        getattr(model, name).requires_grad_(False)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optim = torch.optim.AdamW(trained, arguments.lr, betas=(0.9, 0.98), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optim, arguments.lr, arguments.steps, pct_start=0.1)
    losses = []
    for batch in tqdm(batches(built, seed, arguments), total=arguments.steps, disable=None, leave=False):
        with torch.autocast("cpu", torch.bfloat16):
            loss, _, _ = model(**batch)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 5.0)
        optim.step()
        scheduler.step()
        optim.zero_grad()
        losses.append(round(loss.item(), 4))
    return losses


def batches(built, seed: int, arguments):
    """Draw utterances and their biasing lists; the same for all variants of a seed."""
    data = SAP2Dataset(
        arguments.train, built.kwargs["frontend"], seed=seed, max_distractors=500, empty_list=0, respell=0.3
    )
    order = random.Random(seed).sample(range(len(data)), arguments.steps * arguments.batch_size)
    for step in range(arguments.steps):
        chosen = order[step * arguments.batch_size :][: arguments.batch_size]
        yield data.collator([data[index] for index in chosen])


def transcribe(built, number: int, prune: str, utterances: int, arguments) -> dict:
    """Decode the test set with N = ``number``."""
    wavs, texts, keywords = read_test(arguments.test, utterances)
    lists = make_biasing_lists(keywords, distractors(), number, seed=number, texts=texts)
    tokens, forward = [], built.model.context_pooling.forward
    built.model.context_pooling.forward = lambda *args: count(tokens, forward(*args))
    started = time.perf_counter()
    inputs = {"input": list(wavs.values()), "hotwords": list(lists.values())}
    results = built.generate(**inputs, prune=prune, batch_size=16, **OFF)
    seconds = time.perf_counter() - started
    built.model.context_pooling.forward = forward
    found = dict(zip(texts, (result["text"] for result in results), strict=True))
    return {"text": found, "ms": 1000 * seconds / len(wavs), "tokens": sum(tokens) / len(wavs)}


@functools.cache
def distractors() -> list[str]:
    """Make the words that lists are filled with."""
    return list(rare_vocabulary("train", 4000, lang="en"))


def count(tokens: list[int], pooled):
    """Note how many context tokens reach the LLM."""
    tokens.append(int(pooled[1].sum()))
    return pooled


def read_test(folder: Path, utterances: int):
    """Read the first utterances of a test set: paths, transcripts, keywords."""
    texts = dict(list(read_kaldi(folder / "text").items())[:utterances])
    wavs, keywords = read_kaldi(folder / "wav.scp"), read_biasing_list(folder / "keywords")
    return tuple({utt_id: each[utt_id] for utt_id in texts} for each in (wavs, texts, keywords))


def table(arguments) -> str:
    """Compare all variants with no pooling, each condition over all seeds together."""
    conditions = [f"{n} retrieval" for n in SIZES]
    conditions += [f"{n} none" for n in UNPRUNED if arguments.unpruned]
    rows = []
    for condition in conditions:
        scores = {name: pooled_score(arguments, name, condition)[0] for name in arguments.variants}
        base = scores.get("none")
        for name, found in scores.items():
            low, high = interval(bootstrap_rates(found, SAMPLES, 0)[:, 2])
            p_value = "-"
            if base is not None and name != "none":
                p_value = f"{compare(base, found, SAMPLES, 0)['b_wer']['p_value']:.3f}"
            rates = (found.wer.error_rate, found.u_wer.error_rate)
            b_wer = f"{found.b_wer.error_rate:.2f} ({low:.1f} to {high:.1f})"
            _, ms, tokens = pooled_score(arguments, name, condition)
            rates = (*(f"{rate:.2f}" for rate in rates), b_wer, p_value, f"{tokens:.1f}", f"{ms:.0f}")
            rows.append((f"{condition.replace(' retrieval', '').replace(' none', ', all')}: {name}", *rates))
    header = ("N: pooling", "WER", "U-WER", "B-WER (95 %)", "p", "context tokens", "ms")
    return markdown_table(header, rows)


def pooled_score(arguments, name: str, condition: str):
    """Score the transcripts of all seeds as one test set; with mean milliseconds and context tokens."""
    references, hypotheses, biased, ms, tokens = {}, {}, {}, [], []
    for seed in arguments.seeds:
        result = json.loads(result_path(arguments, name, seed).read_text(encoding="utf-8"))[condition]
        _, texts, keywords = read_test(arguments.test, len(result["text"]))
        for utt_id, text in result["text"].items():
            key = f"{utt_id}-{seed}"
            references[key], hypotheses[key], biased[key] = texts[utt_id], text, keywords[utt_id]
        ms.append(result["ms"])
        tokens.append(result["tokens"])
    return score(references, hypotheses, biased), sum(ms) / len(ms), sum(tokens) / len(tokens)


if __name__ == "__main__":
    run(main)
