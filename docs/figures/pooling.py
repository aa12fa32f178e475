#!/usr/bin/env python3
r"""Draw docs/figures/pooling.png: where the frames of utterances look, among the keywords of their lists.

python docs/figures/pooling.py --data-dir data/dev --utterances ID ID --output docs/figures/pooling.png

Left, the attention of the pooling: softmax over all context tokens, averaged over each keyword's tokens and
over the heads. Right, for comparison: where CTC alignment places each keyword, and how sure that is.
"""

import argparse
import contextlib
import math
import sys
from pathlib import Path

import matplotlib
import torch

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from funasr_sap.context.alignment import align_keywords
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.data.biasing import make_biasing_lists
from funasr_sap.data.kaldi import read_biasing_list, read_kaldi
from funasr_sap.data.mini_corpus.vocabulary import rare_vocabulary
from funasr_sap.tool import run


def main(argv=None):
    """Draw a row of two pictures for each utterance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", default="sap2", help="name or directory (default: %(default)s)")
    parser.add_argument("--data-dir", required=True, type=Path, help="wav.scp, text and keywords")
    parser.add_argument("--utterances", required=True, nargs="+", metavar="ID")
    parser.add_argument("--distractors", type=int, default=8, help="in each list (default: %(default)s)")
    parser.add_argument("--output", required=True, help="the picture")
    arguments = parser.parse_args(argv)
    with contextlib.redirect_stdout(sys.stderr):
        model = load(arguments.model)
    rows = len(arguments.utterances)
    figure, axes = plt.subplots(rows, 2, figsize=(13, 3.2 * rows), layout="constrained", squeeze=False)
    for pair, utt_id in zip(axes, arguments.utterances, strict=True):
        draw(pair, model, *read(arguments, utt_id))
    figure.savefig(arguments.output, dpi=110)


def load(name: str):
    """Load a model, and what reads audio for it."""
    from funasr_sap import AutoModel

    return AutoModel(model=name, device="cpu", disable_pbar=True)


def read(arguments, utt_id: str):
    """Read one utterance: path, transcript, keywords, and a list of these and distractors."""
    folder = arguments.data_dir
    text = read_kaldi(folder / "text")[utt_id]
    keywords = read_biasing_list(folder / "keywords")[utt_id]
    pool, texts = rare_vocabulary("train", 4000, lang="en"), {utt_id: text}
    words = make_biasing_lists({utt_id: keywords}, pool, arguments.distractors, texts=texts)[utt_id]
    return read_kaldi(folder / "wav.scp")[utt_id], text, keywords, words


@torch.no_grad()
def draw(axes, built, path: str, text: str, keywords: list[str], words: list[str]) -> None:
    """Draw attention and alignment of one utterance."""
    from funasr_sap.audio import load_audio

    model, frontend = built.model.eval(), built.kwargs["frontend"]
    waveform = load_audio(path, frontend.fs)
    features, lengths = frontend(waveform[None], torch.tensor([len(waveform)]))
    encoded = model.encode(features, lengths)
    lists = [BiasingList(words, model.tokenizer)]
    shortlist = model.retrieve(encoded, lists, top=len(words), threshold=0.0)
    names = [lists[0].words[place] for place in shortlist.index[0].tolist()]
    columns = [list(range(len(names)))]
    weights, owner = attention_of(model, encoded, lists, shortlist, columns)
    heat = torch.stack([weights[:, owner == place].mean(-1) for place in range(len(names))])
    title = text if len(text) < 80 else text[:77] + "..."
    labels = [f"{name} *" if name in keywords else name for name in names]
    picture(axes[0], heat, labels, title, "audio embeddings that reach the LLM")
    picture(
        axes[1], aligned(model, encoded, lists, shortlist), labels, "* spoken", "encoder frames, 60 ms each"
    )


def attention_of(model, encoded, lists, shortlist, columns):
    """Compute (Ta, Tc) weights of the pooling, mean over heads, and the keyword of each context token."""
    pooling, seen = model.context_pooling, {}
    forward = pooling.forward
    pooling.forward = lambda *args: seen.update(args=args) or forward(*args)
    model.embed_context(encoded, lists, shortlist, columns, model.language)
    pooling.forward = forward
    audio, _, context, _ = seen["args"]
    query, key = pooling._heads(audio), pooling._heads(context)
    weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).softmax(-1)[0].mean(0)
    words = [lists[0].words[place] for place in shortlist.index[0].tolist()]
    pieces = [lists[0].ids[place] for place in shortlist.index[0].tolist()]
    _, owner = model.prompts.write_context(words, pieces, model.language)
    return weights, torch.tensor(owner)


def aligned(model, encoded, lists, shortlist):
    """Compute (K, T): a keyword's confidence over the frames that it aligns with."""
    pieces = [torch.tensor(lists[0].ids[place]) for place in shortlist.index[0].tolist()]
    size = max(map(len, pieces))
    ids = torch.stack([torch.nn.functional.pad(each, (0, size - len(each))) for each in pieces])[None]
    mask = torch.stack([torch.arange(size) < len(each) for each in pieces])[None]
    found = align_keywords(encoded.log_probs, encoded.frame_mask, ids, mask, 0)
    frames = torch.arange(encoded.frames.shape[1])
    inside = (frames >= found.start[0][:, None]) & (frames <= found.end[0][:, None])
    return inside * shortlist.confidence[0][:, None]


def picture(axes, heat, labels, title: str, below: str) -> None:
    """Draw (K, frames) with a keyword a row."""
    axes.imshow(heat, aspect="auto", cmap="magma", interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(below, fontsize=8)


if __name__ == "__main__":
    run(main)
