#!/usr/bin/env python3
r"""One training step and one decode of a backbone at full size: random weights, real shapes, memory and time.

python benchmarks/backbone_step.py conf/sap2_fun_asr_nano.yaml conf/sap2_qwen2_audio.yaml \
  --tokenizer Qwen/Qwen3-0.6B --device cuda --batch-size 8

Nothing is downloaded but the tokenizer, which may be a folder. The configuration's freeze flags and adapters
count; all weights are made in bf16 where they do not train. The rows are those of docs/backbones.md.
"""

import argparse
import contextlib
import logging
import sys
import time
from pathlib import Path

import yaml

from funasr_sap.metrics.report import markdown_table
from funasr_sap.tool import run

HEADER = ("configuration", "what", "batch size", "memory, GiB", "s")
SECONDS = 10  # of speech an utterance
TEXT = "a context of many keywords is pruned and pooled by the speech"
KEYWORDS = ["context", "keywords", "speech", "photosynthesis", "chlorophyll"]


def main(argv=None):
    """Measure each configuration, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("config", type=Path, nargs="+", help="YAML configurations of models")
    parser.add_argument("--tokenizer", required=True, help="a folder, or a name at Hugging Face")
    parser.add_argument("--batch-size", type=int, default=8, help="utterances (default: %(default)s)")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    rows = []
    with contextlib.redirect_stdout(sys.stderr):
        for path in arguments.config:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
            measured = measure(config, arguments.tokenizer, arguments.batch_size, arguments.device)
            rows += [(path.stem, what, str(arguments.batch_size), *cells) for what, cells in measured]
    print(markdown_table(HEADER, rows))


def measure(config: dict, tokenizer: str, batch_size: int, device: str) -> list[tuple[str, tuple]]:
    """Train one step, decode one batch: what was done, its peak memory and its seconds."""
    import torch
    from funasr_sap.models.decoding import DecodingOptions, decode
    from transformers import AutoTokenizer

    from funasr_sap.context.biasing_list import BiasingList

    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    torch.manual_seed(0)
    model, frontend = build(config, tokenizer, torch.device(device))
    waveforms = 0.1 * torch.randn(batch_size, SECONDS * frontend.fs)
    speech, lengths = frontend(waveforms, [waveforms.shape[1]] * batch_size)
    speech, lengths = speech.to(device), torch.as_tensor(lengths).to(device)

    def train():
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
        texts, lists = [TEXT] * batch_size, [KEYWORDS] * batch_size
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss, _, _ = model.train()(speech, lengths, texts, texts, lists, [KEYWORDS[:3]] * batch_size)
        loss.backward()
        optimizer.step()
        logging.info("loss %.3f", loss.item())

    def recognise():
        lists = [BiasingList(KEYWORDS, tokenizer)] * batch_size
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            decode(model.eval(), speech, lengths, lists, DecodingOptions(language=model.language))

    return [(what, timed(step, device)) for what, step in (("one step", train), ("decoding", recognise))]


def build(config: dict, tokenizer, device):
    """Build a model on the device, frozen weights in bf16."""
    import torch
    from funasr.register import tables

    import funasr_sap  # noqa: F401  (registers the classes)
    from funasr_sap.models.sap2 import SAP2

    config = dict(config)
    frontend = tables.frontend_classes[config["frontend"]](**config["frontend_conf"])
    arguments = config.pop("model_conf", {}) | config
    for part in ("audio_encoder_conf", "llm_conf"):
        arguments[part] = {"dtype": "bf16", **arguments[part]}
    for key in ("model", "frontend", "frontend_conf", "tokenizer", "tokenizer_conf"):
        arguments.pop(key, None)
    torch.set_default_dtype(torch.bfloat16)  # weights are drawn where and as they stay: a 7B model fits once
    with device:
        model = SAP2(**arguments, tokenizer=tokenizer, input_size=frontend.output_size())
    torch.set_default_dtype(torch.float32)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model.to(device), frontend


def timed(step, device: str) -> tuple[str, str]:
    """Run a step: peak memory in GiB, "-" on a CPU, and seconds."""
    import torch

    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    step()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = f"{time.perf_counter() - started:.1f}"
    return (f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if on_gpu else "-"), seconds


if __name__ == "__main__":
    run(main)
