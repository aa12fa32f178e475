import copy
import itertools
import random

import miniatures
import pytest
import torch
from funasr.register import tables
from transformers.utils import is_flash_attn_2_available

from funasr_sap.errors import ConfigError
from funasr_sap.models.parts import PartOptions, parameter_table, prepare
from funasr_sap.models.seed_keys import SEED_KEYS, translate

LORA = {"lora_conf": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0}}
TASKS = {"transcribe": 0.0, "transcribe_with_context": 1.0, "prune": 0.0, "joint": 0.0}
OWNER = {"evidence": "context_pooling", "new_tokens": "context_pooling"}


def declared(name, settings):
    """Tell whether the configuration says that a parameter trains."""
    part = name.partition(".")[0]
    if part == "span_head":  # never frozen here
        return True
    setting = settings[OWNER.get(part, part)]
    return "lora_" in name if setting == "lora" else setting == "train"


def combinations():
    """Every combination of freeze flags, and of adapters on encoder and LLM."""
    ways = {"audio_encoder": 3, "llm": 3, "ctc": 2, "audio_adaptor": 2, "context_pooling": 2}
    for chosen in itertools.product(*(("train", "freeze", "lora")[:number] for number in ways.values())):
        yield dict(zip(ways, chosen, strict=True))


def test_one_step_changes_exactly_what_is_declared(make_model, make_batch, tokenizer):
    batch = make_batch([7])
    for settings in combinations():
        confs = {
            f"{part}_conf": {"freeze": {"freeze": True}, "lora": LORA, "train": {}}[setting]
            for part, setting in settings.items()
        }
        weights = {"ctc_weight": 0.3, "span_weight": 1.0, "letter_weight": 1.0}
        model = make_model(for_training=True, task_weights=TASKS, model_conf=weights, **confs)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.01)  # weight decay shows every parameter that the optimizer was given
        before = {name: value.clone() for name, value in model.named_parameters()}
        optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-3, weight_decay=0.1)
        loss = model(**batch)[0]
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
        changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        assert changed == {name for name in before if declared(name, settings)}, settings


def test_frozen_parts_keep_no_activations(make_model, make_batch):
    batch, saved = make_batch([7, 0]), {}
    for freeze in (False, True):
        model, sizes = make_model(audio_encoder_conf={"freeze": freeze}, specaug=None).train(), []
        count = lambda x, sizes=sizes: sizes.append(x.numel()) or x  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            model.encode(batch["speech"], batch["speech_lengths"])
        saved[freeze] = sum(sizes)
    assert saved[True] < saved[False] / 2  # what is left belongs to the adaptor and the CTC head
    model = make_model(audio_encoder_conf={"freeze": True}, audio_adaptor_conf={"freeze": True}).train()
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    assert not encoded.frames.requires_grad
    assert not any(module.training for module in model.audio_adaptor.modules())


@pytest.mark.parametrize("part", ["audio_encoder", "llm"])
def test_recomputed_layers_give_the_same_gradients(part, make_model, make_batch):
    batch = make_batch([7])
    gradients = []
    for checkpointing in (False, True):
        conf = {"gradient_checkpointing": checkpointing} | ({"dropout_rate": 0.0} if part != "llm" else {})
        model = make_model(for_training=True, task_weights=TASKS, specaug=None, **{f"{part}_conf": conf})
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0

        random.seed(0)
        model(**batch)[0].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(gradients[0], gradients[1])


STACKS = {
    "Whisper": lambda: tables.encoder_classes["WhisperEncoder"](**miniatures.WHISPER, pad=False),
    "FunASR's adaptor": lambda: tables.adaptor_classes["Transformer"](
        downsample_rate=2, encoder_dim=16, llm_dim=32, ffn_dim=16, n_layer=2, attention_heads=2
    ),
    "the one of transformers": lambda: tables.adaptor_classes["FunAsrNanoProjector"](
        encoder_dim=16, llm_dim=32, num_attention_heads=4
    ),
    "OSUM's adaptor": lambda: tables.adaptor_classes["OSUMAdaptor"](
        encoder_dim=16, llm_dim=32, attention_heads=2, linear_units=24, num_blocks=2, speech_tokens=4
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_every_stack_of_layers_can_be_recomputed(name):
    speech = torch.randn(2, 60, 80 if name == "Whisper" else 16, generator=torch.Generator().manual_seed(0))
    gradients, saved = [], []
    for checkpointing in (False, True):
        part, sizes = miniatures.randomised(STACKS[name]), []
        prepare("part_conf", part.train(), PartOptions(gradient_checkpointing=checkpointing))
        for module in part.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        count = lambda x, sizes=sizes: sizes.append(x.numel()) or x  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            found = part(speech, torch.tensor([60, 41]))[0]
        found.square().sum().backward()
        gradients.append({key: value.grad for key, value in part.named_parameters()})
        saved.append(sum(sizes))
    torch.testing.assert_close(gradients[0], gradients[1])
    assert saved[1] < 0.9 * saved[0]


def test_a_part_without_layers_cannot_be_recomputed(make_model):
    with pytest.raises(ConfigError, match=r"ctc_conf\.gradient_checkpointing: CTC has no stack of layers"):
        make_model(ctc_conf={"gradient_checkpointing": True})


def test_implementations_of_attention_agree(make_model, make_batch):
    batch, losses = make_batch([7, 0]), []
    for name in ("sdpa", "eager"):
        model = make_model(llm_conf={"attn_implementation": name}, task_weights=TASKS)
        assert model.llm.config._attn_implementation == name
        losses.append(model(**batch)[0])
    torch.testing.assert_close(*losses)
    for name in ("flash_attention_2", "flesh"):
        if name == "flesh" or not is_flash_attn_2_available():
            with pytest.raises(ConfigError, match=f"llm_conf.attn_implementation: '{name}': "):
                make_model(llm_conf={"attn_implementation": name})


def test_fresh_adapters_change_nothing_and_their_checkpoint_has_published_names(make_model, make_batch):
    batch = make_batch([7])
    plain = make_model(for_training=True).eval()
    adapted = make_model(for_training=True, llm_conf=LORA, audio_encoder_conf=LORA)
    added = {name for name in adapted.state_dict() if ".lora_" in name}
    assert adapted.state_dict().keys() - added == plain.state_dict().keys()
    adapted.load_state_dict(plain.state_dict() | {name: adapted.state_dict()[name] for name in added})
    found = [
        model.language_model.attend(model.encode(batch["speech"], batch["speech_lengths"]))
        for model in (plain, adapted.eval())
    ]
    torch.testing.assert_close(found[0].audio, found[1].audio)
    adapted.on_pretrained_model_loaded(frozenset(plain.state_dict()))  # a checkpoint without adapters
    with pytest.raises(ConfigError, match=r"1 missing: .*lora_A"):
        adapted.on_pretrained_model_loaded(frozenset(adapted.state_dict()) - {min(added)})


def test_only_the_rows_of_added_tags_train_in_a_frozen_llm(make_model, make_batch, tokenizer):
    mine = copy.deepcopy(tokenizer)
    with_tags = make_model.func(
        mine, for_training=True, llm_conf={"freeze": True}, prompt_conf={"style": "qwen2_audio"},
        task_weights={"transcribe": 1.0},
    ).train()  # fmt: skip
    ids = mine.convert_tokens_to_ids(["<|audio_bos|>", "<|audio_eos|>"])
    assert with_tags.new_tokens.ids.tolist() == ids
    table = with_tags.llm.get_input_embeddings().weight
    torch.testing.assert_close(with_tags.new_tokens.weight[0], table.mean(0))
    found = with_tags.language_model.embed_tokens(torch.tensor([[3, ids[1], 4]]))
    torch.testing.assert_close(found[0, [0, 2]], table[[3, 4]])
    torch.testing.assert_close(found[0, 1], with_tags.new_tokens.weight[1])
    with_tags(**make_batch([7]))[0].backward()
    assert with_tags.new_tokens.weight.grad.abs().sum(1).gt(0).all()
    assert all(parameter.grad is None for parameter in with_tags.llm.parameters())
    assert "<|audio_bos|>" not in tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"llm_conf": {"freeze": "yes"}}, "llm_conf.freeze: expected true or false, got 'yes'"),
        ({"llm_conf": {"dtype": "fp8"}}, "llm_conf.dtype: expected one of fp32, bf16, fp16, got 'fp8'"),
        ({"llm_conf": {"lora_conf": {"rank": 8}}}, "llm_conf.lora_conf: unknown key 'rank'"),
        (
            {"audio_encoder_conf": {"lora_conf": {"target_modules": ["q_proj"]}}},
            "none of q_proj is a layer of this part; it has linear_out, linear_q_k_v, w_1, w_2",
        ),
        ({"ctc": None}, "audio_adaptor: CTCAdaptor reads the CTC head; ctc is null"),
        (
            {"ctc": None, "audio_adaptor": "LinearProjection", "audio_adaptor_conf": None, "ctc_weight": 0.3},
            r"model_conf.ctc_weight: got 0.3, .* no CTC head .*; pass \+\+model_conf.ctc_weight=0",
        ),
        (
            {"ctc": None, "audio_adaptor": "LinearProjection", "audio_adaptor_conf": None},
            "span_head: SpanHead reads the CTC head's alignments; ctc is null",
        ),
        ({"span_head": "GRU"}, "span_head: expected SpanHead, or null for none, got 'GRU'"),
        (
            {"span_head": None, "span_weight": 0.5},
            r"model_conf.span_weight: got 0.5, .* no span head .*; pass \+\+model_conf.span_weight=0",
        ),
        (
            {"span_head": None, "letter_weight": 0.5},
            r"model_conf.letter_weight: got 0.5, .* no span head .*; pass \+\+model_conf.letter_weight=0",
        ),
        ({"compressor_hidden_size": 4096}, "got 4096, expected the LLM's width, 32"),
        (
            {"audio_adaptor_conf": {"llm_dim": 16}},
            "audio_adaptor_conf.llm_dim: got 16, but this model has 32",
        ),
    ],
)
def test_options_that_cannot_be(conf, message, make_model):
    with pytest.raises(ConfigError, match=message):
        make_model(**conf)


def test_names_of_sap2_asr():
    given = {
        **{"freeze_vit": True, "freeze_aligner": False, "freeze_llm": False, "lora_rank": 8},
        **{"sap_window_size": 2, "num_attention_heads": 4, "compressor_hidden_size": 4096},
        "llm_conf": {"hidden_size": 4096, "lora_conf": {"lora_dropout": 0.1}},
        "audio_encoder_conf": None,
        "model": "SAP2",
    }
    assert translate(given) == {
        "model": "SAP2",
        "audio_encoder_conf": {"freeze": True},
        "audio_adaptor_conf": {"freeze": False},
        "llm_conf": {"hidden_size": 4096, "freeze": False, "lora_conf": {"lora_dropout": 0.1, "r": 8}},
        "context_pooling_conf": {"window": 2, "num_heads": 4, "dim": 4096},
    }
    assert given["llm_conf"]["lora_conf"] == {"lora_dropout": 0.1}
    both = {"sap_window_size": 2, "context_pooling_conf": {"window": 4, "mode": "mean"}}
    assert translate(both) == {"context_pooling_conf": {"window": 2, "mode": "mean"}}


def test_names_of_sap2_asr_are_in_the_document():
    document = (miniatures.CONF.parent / "docs/from_sap2_asr.md").read_text(encoding="utf-8")
    for name, (section, key) in SEED_KEYS.items():
        (row,) = [line for line in document.splitlines() if line.startswith("|") and f"--{name} " in line]
        assert f"`++{name}=" in row and f"`++{section}.{key}=" in row


def test_the_table_of_parameters(make_model):
    model = make_model(llm_conf={"freeze": True, "dtype": "bf16"})
    rows = [line.split() for line in parameter_table(model).splitlines()]
    assert rows[0] == ["part", "parameters", "trainable", "dtype"]
    assert ["context_pooling", "0", "0", "-"] in rows
    by_part = {row[0]: row[1:] for row in rows}
    llm = sum(parameter.numel() for parameter in model.llm.parameters())
    assert by_part["llm"] == [f"{llm:,}", "0", "bfloat16"]
    every = [int(row[1].replace(",", "")) for row in rows[1:]]
    assert sum(every[:-1]) == every[-1] == sum(p.numel() for p in model.parameters())
