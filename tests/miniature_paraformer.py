"""A Paraformer in miniature: FunASR's published architecture and files, a few thousand random weights.

config.yaml          as published: SAN-M encoder and decoder, CIF predictor, WavFrontend, CharTokenizer
configuration.json   which files of the directory go where in the configuration
model.pt             the weights
tokens.json          the vocabulary: <blank>, <s>, </s>, the pieces, <unk>
seg_dict             how words are spelt in pieces; those that end in @@ go on
am.mvn               mean and variance of the features
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
import yaml

FEATURES = 560  # 80 mel bands, 7 frames at a time
WIDTH = 32
CONFIG = {
    "model": "Paraformer",
    "model_conf": {
        "ctc_weight": 0.0,
        "lsm_weight": 0.1,
        "length_normalized_loss": True,
        "predictor_weight": 1.0,
        "predictor_bias": 1,
        "sampling_ratio": 0.75,
    },
    "encoder": "SANMEncoder",
    "encoder_conf": {
        "output_size": WIDTH,
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
        "dropout_rate": 0.1,
        "positional_dropout_rate": 0.1,
        "attention_dropout_rate": 0.1,
        "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder",
        "normalize_before": True,
        "kernel_size": 11,
        "sanm_shfit": 0,
        "selfattention_layer_type": "sanm",
    },
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": {
        "attention_heads": 2,
        "linear_units": 64,
        "num_blocks": 2,
        "dropout_rate": 0.1,
        "positional_dropout_rate": 0.1,
        "self_attention_dropout_rate": 0.1,
        "src_attention_dropout_rate": 0.1,
        "att_layer_num": 2,
        "kernel_size": 11,
        "sanm_shfit": 0,
    },
    "predictor": "CifPredictorV2",
    "predictor_conf": {
        "idim": WIDTH,
        "threshold": 1.0,
        "l_order": 1,
        "r_order": 1,
        "tail_threshold": 0.45,
    },
    "frontend": "WavFrontend",
    "frontend_conf": {"fs": 16000, "window": "hamming", "n_mels": 80, "lfr_m": 7, "lfr_n": 6, "dither": 0.0},
    "specaug": "SpecAugLFR",
    "specaug_conf": {
        "apply_time_warp": False,
        "time_warp_window": 5,
        "time_warp_mode": "bicubic",
        "apply_freq_mask": True,
        "freq_mask_width_range": [0, 30],
        "lfr_rate": 6,
        "num_freq_mask": 1,
        "apply_time_mask": True,
        "time_mask_width_range": [0, 12],
        "num_time_mask": 1,
    },
    "train_conf": {"accum_grad": 1, "grad_clip": 5, "max_epoch": 2, "keep_nbest_models": 2},
    "optim": "adam",
    "optim_conf": {"lr": 0.0005},
    "scheduler": "warmuplr",
    "scheduler_conf": {"warmup_steps": 100},
    "dataset": "AudioDataset",
    "dataset_conf": {
        "index_ds": "IndexDSJsonl",
        "batch_sampler": "BatchSampler",
        "batch_type": "example",
        "batch_size": 4,
        "max_token_length": 2048,
        "shuffle": True,
        "num_workers": 0,
    },
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True, "ignore_nan_grad": True},
    "normalize": None,
}
FILES = {
    "init_param": "model.pt",
    "config": "config.yaml",
    "tokenizer_conf": {"token_list": "tokens.json", "seg_dict_file": "seg_dict"},
    "frontend_conf": {"cmvn_file": "am.mvn"},
}


def write_paraformer(folder: Path, texts: Iterable[str], seed: int = 0) -> Path:
    """Write a model directory that ``AutoModel(model=folder)`` and FunASR's trainer take.

    Args:
        folder: the directory, made where it is missing.
        texts: transcripts, whose words and Chinese characters the model can write.
        seed: of its weights, wide enough for answers to differ.

    Returns:
        ``folder``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word.lower() for text in texts for word in text.split()})
    spelling = _spelling(words)
    pieces = sorted({piece for spelt in spelling.values() for piece in spelt})
    tokens = ["<blank>", "<s>", "</s>", *pieces, "<unk>"]
    config = yaml.safe_dump(CONFIG, sort_keys=False)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    layout = {"framework": "pytorch", "task": "auto-speech-recognition", "model": {"type": "funasr"}}
    layout |= {"pipeline": {"type": "funasr-pipeline"}, "file_path_metas": FILES}
    (folder / "configuration.json").write_text(json.dumps(layout, indent=2) + "\n", encoding="utf-8")
    (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=0), encoding="utf-8")
    lines = "".join(f"{word}\t{' '.join(spelt)}\n" for word, spelt in spelling.items())
    (folder / "seg_dict").write_text(lines, encoding="utf-8")
    (folder / "am.mvn").write_text(_statistics(), encoding="utf-8")
    torch.save(_weights(len(tokens), seed), folder / "model.pt")
    return folder


def _spelling(words: list[str]) -> dict[str, list[str]]:
    """Spell a Latin word in letters, Chinese in characters; each character stands for itself as well."""
    spelling = {}
    for word in words:
        latin = word.isascii()
        spelling |= {letter: [letter] for letter in word}
        spelling[word] = [f"{letter}@@" for letter in word[:-1]] + [word[-1]] if latin else list(word)
    return spelling


def _statistics() -> str:
    """What log mel energies of speech are about; Kaldi's text format."""
    rows = {"AddShift": "-13.0", "Rescale": "0.2"}
    body = "".join(
        f"<{name}> {FEATURES} {FEATURES}\n<LearnRateCoef> 0 [ {' '.join([value] * FEATURES)} ]\n"
        for name, value in rows.items()
    )
    return f"<Nnet>\n<Splice> {FEATURES} {FEATURES}\n[ 0 ]\n{body}</Nnet>\n"


def _weights(vocab_size: int, seed: int) -> dict[str, torch.Tensor]:
    import funasr  # noqa: F401  (registers the classes)
    from funasr.register import tables

    torch.manual_seed(seed)
    parts = {key: value for key, value in CONFIG.items() if key not in ("model", "model_conf")}
    model = tables.model_classes["Paraformer"](
        **CONFIG["model_conf"], **parts, input_size=FEATURES, vocab_size=vocab_size
    )
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model.state_dict()
