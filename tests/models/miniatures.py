"""Published models in miniature: the true architectures and file formats, random weights."""

import json
import random
from pathlib import Path

import torch
import yaml

CONF = Path(__file__).parents[2] / "conf"
LLM = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
}
QWEN3 = {**LLM, "model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": True}
WHISPER = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "num_mel_bins": 80,
    "max_source_positions": 200,  # 4 s
}
SANM = {"output_size": 16, "attention_heads": 2, "linear_units": 32, "num_blocks": 2, "tp_blocks": 1}


def config_of(name: str) -> dict:
    """Read one of the configurations in ``conf``; the numbers of its shapes are the published ones."""
    return yaml.safe_load((CONF / f"sap2_{name}.yaml").read_text(encoding="utf-8"))


def published_tokenizer(tokenizer, folder: Path, tokens=()):
    """Save a tokenizer with the special tokens that a published one has."""
    from transformers import PreTrainedTokenizerFast

    copy = PreTrainedTokenizerFast.from_pretrained(tokenizer.name_or_path)
    copy.add_tokens([*tokens], special_tokens=True)
    copy.save_pretrained(folder)
    return copy


def randomised(build, seed: int = 0):
    """Build a model whose weights are the same in every run, and wide enough for every one to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_((0.2 if parameter.dim() > 1 else 0.1) * torch.randn_like(parameter))
    return model.eval()


def qwen2_audio(folder: Path, tokenizer, **save):
    """``Qwen2AudioForConditionalGeneration``, as Hugging Face has it."""
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    known = published_tokenizer(tokenizer, folder, ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"])
    config = Qwen2AudioConfig(
        audio_config={**WHISPER, "model_type": "qwen2_audio_encoder"},
        text_config={
            **LLM,
            "model_type": "qwen2",
            "vocab_size": len(known) + 7,
            "tie_word_embeddings": False,
        },
        audio_token_index=known.convert_tokens_to_ids("<|AUDIO|>"),
    )
    model = randomised(lambda: Qwen2AudioForConditionalGeneration(config))
    model.save_pretrained(folder, **save)
    return model


def fun_asr_nano_hf(folder: Path, tokenizer):
    """``FunAsrNanoForConditionalGeneration``, as Hugging Face has it."""
    from transformers import FunAsrNanoConfig, FunAsrNanoForConditionalGeneration

    known = published_tokenizer(tokenizer, folder, ["<|object_ref_start|>"])
    config = FunAsrNanoConfig(
        audio_config={
            **{"model_type": "fun_asr_nano_encoder", "hidden_size": 16, "num_attention_heads": 2},
            **{"intermediate_size": 32, "num_hidden_layers": 3, "num_timestamp_prediction_layers": 1},
        },
        adaptor_config={"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 8},
        text_config={**QWEN3, "vocab_size": len(known)},
        audio_token_id=known.convert_tokens_to_ids("<|object_ref_start|>"),
    )
    model = randomised(lambda: FunAsrNanoForConditionalGeneration(config))
    model.save_pretrained(folder)
    return model


def fun_asr_nano(folder: Path, tokenizer, use_low_frame_rate: bool = True):
    """FunASR's ``FunASRNano``: config.yaml, model.pt with a CTC branch, and the LLM's folder."""
    from funasr.register import tables
    from transformers import AutoConfig

    llm = folder / "Qwen3-0.6B"
    known = published_tokenizer(tokenizer, llm)
    AutoConfig.for_model(**QWEN3, vocab_size=len(known)).save_pretrained(llm)
    config = {
        "model": "FunASRNano",
        "audio_encoder": "SenseVoiceEncoderSmall",
        "audio_encoder_conf": {**SANM, "freeze": True, "feat_permute": True},
        "audio_adaptor": "Transformer",
        "audio_adaptor_conf": {
            **{"downsample_rate": 1, "use_low_frame_rate": use_low_frame_rate, "ffn_dim": 24, "n_layer": 1},
            **{"attention_heads": 4, "freeze": False},
        },
        "llm": "Qwen3-0.6b",
        "llm_conf": {"init_param_path": "Qwen3-0.6B", "freeze": True},
        "frontend": "WavFrontend",
        "frontend_conf": {
            "fs": 16000,
            "lfr_m": 7,
            "lfr_n": 6,
            "n_mels": 80,
            "dither": 0.0,
            "cmvn_file": None,
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sections = yaml.safe_load(yaml.safe_dump(config))
    sections["llm_conf"]["init_param_path"] = str(llm)
    parts = {key: sections[key] for key in sections if key.startswith(("audio_", "llm"))}
    model = randomised(lambda: tables.model_classes["FunASRNano"](**parts, input_size=560))
    branch = {"ctc_decoder.linear1.weight": torch.zeros(3, 3), "ctc.ctc_lo.weight": torch.zeros(3, 3)}
    torch.save({"state_dict": {**model.state_dict(), **branch}}, folder / "model.pt")
    return model, known


def whisper(folder: Path):
    """``WhisperForConditionalGeneration``, whose encoder is of use."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 20}
    tokens = {key: 1 for key in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")}
    model = randomised(lambda: WhisperForConditionalGeneration(WhisperConfig(**WHISPER, **decoder, **tokens)))
    model.save_pretrained(folder)
    return model


def qwen3(folder: Path, tokenizer):
    """``Qwen3ForCausalLM`` and its tokenizer, without the tags of SAP²."""
    from transformers import AutoConfig, AutoModelForCausalLM

    known = published_tokenizer(tokenizer, folder)
    config = AutoConfig.for_model(**QWEN3, vocab_size=len(known))
    model = randomised(lambda: AutoModelForCausalLM.from_config(config))
    model.save_pretrained(folder)
    return model


def sap2_asr_adapters(folder: Path, base) -> dict:
    """Adapters on Qwen2-Audio as ms-swift saves them: of the LLM and of the aligner."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(3)
    tensors = {}
    names = [f"language_model.model.layers.{i}.self_attn.{p}_proj" for i in range(2) for p in "qv"]
    for name in [*names, "multi_modal_projector.linear"]:
        ours = name.replace("language_model.model", "model.language_model")
        ours = ours.replace("multi_modal", "model.multi_modal")
        layer = base.get_submodule(ours)
        shapes = {"lora_A": (4, layer.in_features), "lora_B": (layer.out_features, 4)}
        for key, shape in shapes.items():
            tensors[f"base_model.model.{name}.{key}.weight"] = torch.randn(shape, generator=generator)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.05, "target_modules": "^(.*)$"}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return tensors


OSUM_LORA = {
    **{"r": 8, "lora_alpha": 32},
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"],
}


def osum_config() -> dict:
    """``conf/sap2_osum.yaml`` at the size of ``osum``."""
    config = config_of("osum")
    config["frontend_conf"]["chunk_length"] = 4
    config["audio_encoder_conf"] |= {**WHISPER, "dtype": None}
    config["audio_adaptor_conf"] |= {
        "attention_heads": 2,
        "linear_units": 24,
        "num_blocks": 1,
        "speech_tokens": 9,
    }
    config["llm_conf"] = {
        **{key: config["llm_conf"][key] for key in ("freeze", "lora_conf")},
        **LLM,
        "tie_word_embeddings": False,
    }
    return config


def osum(file: Path, tokenizer, llm_folder: Path):
    """OSUM's ``.pt``: WeNet's encoder, the adaptor, the LLM under peft's names, and what only speaks.

    Returns: the weights, and the LLM with its adapters. Encoder and adaptor are the same in every run:
    ``osum_audio.npy`` was computed from them.
    """
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    known = published_tokenizer(tokenizer, llm_folder, ["<|endoftext|>"])
    generator = torch.Generator().manual_seed(5)

    def draw(*shape):
        return 0.3 * torch.randn(shape, generator=generator)

    def linear(name, inputs, outputs, bias=True):
        return {f"{name}.weight": draw(outputs, inputs)} | ({f"{name}.bias": draw(outputs)} if bias else {})

    def norm(name, width):
        return {f"{name}.weight": 1 + draw(width), f"{name}.bias": draw(width)}

    def layer(name, width, inner, key_bias):
        state = norm(f"{name}.norm1", width) | norm(f"{name}.norm2", width)
        for each in ("q", "k", "v", "out"):
            state |= linear(f"{name}.self_attn.linear_{each}", width, width, each != "k" or key_bias)
        state |= linear(f"{name}.feed_forward.w_1", width, inner)
        return state | linear(f"{name}.feed_forward.w_2", inner, width)

    state = {"encoder.embed.pos_enc.pe": draw(1, 200, 16), "speech_token_emded.weight": draw(9, 32)}
    for name, inputs in (("encoder.embed.conv.0", 80), ("encoder.embed.conv.2", 16)):
        state |= {f"{name}.weight": draw(16, inputs, 3), f"{name}.bias": draw(16)}
    for place in (1, 4, 7):
        name = f"down_sample_2.conv.{place}"
        state |= {f"{name}.weight": draw(16, 16, 3), f"{name}.bias": draw(16)}
    for place in range(2):
        state |= layer(f"encoder.encoders.{place}", 16, 32, key_bias=False)
    state |= norm("encoder.after_norm", 16) | norm("ln_speech", 16)
    state |= linear("speech_transformer.embed.out.0", 16, 16) | norm("speech_transformer.embed.out.1", 16)
    state |= layer("speech_transformer.encoders.0", 16, 24, key_bias=True)
    state |= norm("speech_transformer.after_norm", 16) | {
        "speech_transformer.embed.pos_enc.pe": draw(1, 9, 16)
    }
    state |= linear("speech_llama_proj", 16, 32) | linear("speaker_head", 32, 7)
    config = {**LLM, "model_type": "qwen2", "vocab_size": len(known), "tie_word_embeddings": False}
    config, lora = AutoConfig.for_model(**config), LoraConfig(**OSUM_LORA, task_type=TaskType.CAUSAL_LM)
    llm = randomised(lambda: get_peft_model(AutoModelForCausalLM.from_config(config), lora))
    state |= {f"llama_model.{name}": value for name, value in llm.state_dict().items()}
    for name in ("embed_tokens.weight", "lm_head.weight"):
        state[name] = next(value for key, value in llm.state_dict().items() if key.endswith(name))
    torch.save(state, file)
    return state, llm


def keywords(number: int, seed: int = 0) -> list[str]:
    """Draw made-up words."""
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(4, 9))) for _ in range(number)]
