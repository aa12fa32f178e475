"""Published weights under SAP²: the same logits and transcripts as the class that published them."""

import copy
from pathlib import Path

import miniatures
import numpy as np
import pytest
import torch

from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.keyword import found_keywords
from funasr_sap.errors import ConfigError
from funasr_sap.models.backbone import import_backbone
from funasr_sap.models.directory import build_model, read_model_config
from funasr_sap.models.language_model import Prompt
from funasr_sap.models.standalone import standalone_state

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
RATE = 16000  # Hz


@pytest.fixture(scope="module")
def waveforms():
    """Noise that is loud up to its end, 2.3 s and 1.37 s: nothing about padding may be silent by luck."""
    rng = np.random.default_rng(0)
    return [torch.tensor(0.1 * rng.standard_normal(size), dtype=torch.float32) for size in (36800, 21920)]


def features_of(folder, waveforms):
    from funasr.register import tables

    config = read_model_config(folder)
    frontend = tables.frontend_classes[config["frontend"]](**config["frontend_conf"])
    features = [frontend(waveform[None], [len(waveform)])[0][0] for waveform in waveforms]
    lengths = torch.tensor([len(each) for each in features])
    return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths


def plain_prompts(model, speech, lengths, task="transcribe"):
    """Prompts without context, their embeddings, and what the LLM attends to."""
    llm = model.language_model
    memory = llm.attend(model.encode(speech, lengths))
    batch = llm.prompt_batch(memory, [Prompt(task, model.language)] * len(speech), None)
    return batch, llm.embed_prompt(batch, memory, None), memory


@torch.no_grad()
def plain_logits(model, speech, lengths, style_task="transcribe"):
    """Logits of SAP² for the prompt without context, and the prompt."""
    batch, embeddings, _ = plain_prompts(model, speech, lengths, style_task)
    positions = (batch.mask.cumsum(1) - 1).clamp(min=0)
    output = model.llm(inputs_embeds=embeddings, attention_mask=batch.mask.long(), position_ids=positions)
    return output.logits, batch


@torch.no_grad()
def greedy(model, speech, lengths, tokens=12):
    batch, embeddings, _ = plain_prompts(model, speech, lengths)
    return model.llm.generate(
        inputs_embeds=embeddings,
        attention_mask=batch.mask.long(),
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )


def reference_inputs(batch, row, audio_token):
    ids = torch.where(batch.audio_mask, audio_token, batch.input_ids)[row][batch.mask[row]]
    return ids[None]


@pytest.fixture(scope="module")
def qwen2_audio(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen2_audio")
    reference = miniatures.qwen2_audio(folder / "base", tokenizer, max_shard_size="30KB")
    config = miniatures.config_of("qwen2_audio")
    config["audio_encoder_conf"].pop("dtype")
    config["llm_conf"].pop("dtype")
    model = import_backbone(config, folder / "sap2", folder / "base")
    return folder, reference, model


def qwen2_audio_features(waveform, reference):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=4)
    found = extractor(
        waveform.numpy(),
        sampling_rate=RATE,
        return_attention_mask=True,
        return_tensors="pt",
        padding="max_length",
    )
    return {"input_features": found.input_features, "feature_attention_mask": found.attention_mask}


def test_qwen2_audio_has_the_logits_of_transformers(qwen2_audio, waveforms):
    folder, reference, model = qwen2_audio
    assert len(list((folder / "base").glob("*.safetensors"))) > 1  # shards, as published
    logits, batch = plain_logits(model, *features_of(folder / "sap2", waveforms))
    generated = greedy(model, *features_of(folder / "sap2", waveforms))
    for row, waveform in enumerate(waveforms):
        inputs = qwen2_audio_features(waveform, reference)
        ids = reference_inputs(batch, row, reference.config.audio_token_id)
        with torch.no_grad():
            expected = reference(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]
        torch.testing.assert_close(logits[row][batch.mask[row]], expected, **TOLERANCE)
        found = reference.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False,
            eos_token_id=None, pad_token_id=0, **inputs,
        )  # fmt: skip
        assert generated[row].tolist() == found[0, ids.shape[1] :].tolist()


def test_qwen2_audio_speaks_the_prompt_of_its_processor(qwen2_audio):
    from transformers import Qwen2AudioProcessor, WhisperFeatureExtractor

    _, reference, model = qwen2_audio
    processor = Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=80), model.tokenizer)
    for words in ([], ["photosynthesis", "The Beatles", "a, b"]):
        task = "transcribe_with_context" if words else "transcribe"
        text = model.prompts.table["tasks"][task]["en"]["user"].partition("\n")[2]
        text = text.replace("{context}", ", ".join(words))
        content = [{"type": "audio", "audio_url": "x"}, {"type": "text", "text": text}]
        said = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        expected = model.tokenizer.encode(said, add_special_tokens=False)
        context, _ = model.prompts.write_context(words, [], "en") if words else ([], [])
        ids = model.prompts.prompt_ids(task, "en", 1, len(context))
        assert fill(ids, model.prompts, reference.config.audio_token_id, context) == expected


def fill(ids, prompts, audio, context):
    """Put an id where the audio is, and the ids of the context where it is."""
    written = iter(context)
    return [audio if i == prompts.AUDIO else next(written) if i == prompts.CONTEXT else i for i in ids]


@pytest.fixture(scope="module")
def nano_hf(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fun_asr_nano_hf")
    reference = miniatures.fun_asr_nano_hf(folder / "base", tokenizer)
    config = miniatures.config_of("fun_asr_nano")
    config["audio_adaptor_conf"].pop("use_low_frame_rate")
    return folder, reference, import_backbone(config, folder / "sap2", folder / "base")


def test_fun_asr_nano_of_transformers_has_its_logits(nano_hf, waveforms):
    folder, reference, model = nano_hf
    speech, lengths = features_of(folder / "sap2", waveforms)
    logits, batch = plain_logits(model, speech, lengths)
    generated = greedy(model, speech, lengths)
    for row, length in enumerate(lengths):
        ids = reference_inputs(batch, row, reference.config.audio_token_id)
        inputs = {"input_features": speech[row : row + 1, :length], "input_ids": ids}
        inputs |= {"input_features_mask": torch.ones(1, length), "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            expected = reference(**inputs).logits[0]
        torch.testing.assert_close(logits[row][batch.mask[row]], expected, **TOLERANCE)
        found = reference.generate(
            **inputs, max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert generated[row].tolist() == found[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("use_low_frame_rate", [True, False])
@pytest.mark.parametrize(
    ("hotwords", "language", "itn"),
    [
        ([], None, True),
        (["photosynthesis", "The Beatles"], "中文", False),
        (["(x)", "开放时间"], "英文", True),
        ([], "日文", False),
    ],
)
def test_fun_asr_nano_has_the_prompt_and_the_logits_of_funasr(
    use_low_frame_rate, hotwords, language, itn, tokenizer, waveforms, tmp_path
):
    reference, known = miniatures.fun_asr_nano(tmp_path / "base", tokenizer, use_low_frame_rate)
    model = import_backbone(miniatures.config_of("fun_asr_nano"), tmp_path / "sap2", tmp_path / "base")
    model.prompts = model.prompts.asking(itn=itn, name_language=language is not None)
    code = model.prompts.language_code(language or "zh")
    speech, lengths = features_of(tmp_path / "sap2", waveforms[:1])
    frontend = frontend_of(tmp_path / "sap2")
    chat = [reference.generate_chatml(reference.get_prompt(hotwords, language, itn), waveforms[0])]
    embeddings, _, _, source_ids, _ = reference.inference_prepare(
        chat, tokenizer=known, frontend=frontend, device="cpu"
    )
    task = "transcribe_with_context" if hotwords else "transcribe"
    context, _ = model.prompts.write_context(hotwords, [], code) if hotwords else ([], [])
    with torch.no_grad():
        memory = model.language_model.attend(model.encode(speech, lengths))
        ids = model.prompts.prompt_ids(task, code, int(memory.mask.sum()), len(context))
        assert fill(ids, model.prompts, 0, context) == source_ids[0].tolist()
        prompt = model.prompts.batch([fill(ids, model.prompts, model.prompts.AUDIO, context)])
        ours = model.language_model.embed_prompt(prompt, memory, None)
        torch.testing.assert_close(ours, embeddings, **TOLERANCE)
        expected = reference.llm(inputs_embeds=embeddings).logits
        torch.testing.assert_close(model.llm(inputs_embeds=ours).logits, expected, **TOLERANCE)
        options = {"max_new_tokens": 10, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        assert torch.equal(
            model.llm.generate(inputs_embeds=ours, **options),
            reference.llm.generate(inputs_embeds=embeddings, **options),
        )


def test_each_call_may_name_a_language_and_ask_for_spoken_forms(
    tokenizer, speech_wavs, tmp_path, monkeypatch
):
    from funasr_sap import AutoModel
    from funasr_sap.context.prompts import PromptTemplate

    miniatures.fun_asr_nano(tmp_path / "base", tokenizer)
    import_backbone(miniatures.config_of("fun_asr_nano"), tmp_path / "sap2", tmp_path / "base")
    model, sent = AutoModel(model=str(tmp_path / "sap2"), disable_pbar=True), []

    def remember(self, *arguments, write=PromptTemplate.prompt_ids):
        ids = write(self, *arguments)
        sent.append(self.tokenizer.decode([i for i in ids if i >= 0]))
        return ids

    monkeypatch.setattr(PromptTemplate, "prompt_ids", remember)
    for options, text in (
        ({}, "语音转写："),
        ({"language": "zh"}, "语音转写成中文："),
        ({"language": "韩文", "itn": False}, "语音转写成韩文，不进行文本规整："),
        ({"itn": True}, "语音转写："),
    ):
        sent.clear()
        model.generate(speech_wavs[0].source, **options)
        assert sent and all(text in each for each in sent)
    with pytest.raises(ConfigError, match=r"language: expected one of zh, en, ja, .*, got 'Klingon'"):
        model.generate(speech_wavs[0].source, language="Klingon")
    with pytest.raises(ConfigError, match="itn: expected true or false, got 'no'"):
        model.generate(speech_wavs[0].source, itn="no")


def frontend_of(folder: Path):
    from funasr.register import tables

    config = read_model_config(folder)
    return tables.frontend_classes[config["frontend"]](**config["frontend_conf"])


@pytest.mark.parametrize("backbone", ["qwen2_audio", "nano_hf", "osum"])
def test_context_in_a_window_of_one_is_the_plain_prompt(backbone, request, waveforms):
    folder, *_, model = request.getfixturevalue(backbone)
    words = [*miniatures.keywords(3), "The Beatles"]
    lists = [BiasingList(words, model.tokenizer)]
    with torch.no_grad():
        encoded, llm = model.encode(*features_of(folder / "sap2", waveforms[:1])), model.language_model
        memory, language = llm.attend(encoded), model.language
        shortlist = model.retrieve(encoded, lists, len(words), 0.0, ["no such words"])
        (found,) = found_keywords(shortlist, lists)
        found = sorted(found, key=lambda keyword: keyword.position)
        prompt = Prompt("transcribe_with_context", language, tuple(found))
        context = llm.embed_context(memory, [prompt])
        batch = llm.prompt_batch(memory, [prompt], context)
        ours = llm.embed_prompt(batch, memory, context)
        tokens, _ = model.prompts.write_context(words, [], language)
        ids = model.prompts.prompt_ids(
            "transcribe_with_context", language, int(memory.mask.sum()), len(tokens)
        )
        plain = model.prompts.batch([fill(ids, model.prompts, model.prompts.AUDIO, tokens)])
        expected = llm.embed_prompt(plain, memory, None)
        found = model.llm(inputs_embeds=ours).logits
        torch.testing.assert_close(found, model.llm(inputs_embeds=expected).logits, **TOLERANCE)


def test_between_tags_it_is_too(make_model, make_batch):
    model = make_model(for_training=True).eval()  # the evidence starts at nothing
    batch = make_batch([7])
    lists = [BiasingList(words, model.tokenizer) for words in batch["biasing_lists"]]
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
        llm = model.language_model
        memory = llm.attend(encoded)
        (found,) = found_keywords(model.retrieve(encoded, lists, len(lists[0]), 0.0), lists)
        prompt = Prompt("transcribe_with_context", "en", tuple(found))
        context = llm.embed_context(memory, [prompt])
        ours = llm.prompt_batch(memory, [prompt], context)
        tokens, _ = model.prompts.context_ids([keyword.pieces for keyword in found], "en")
        size = int(memory.mask.sum())
        ids = model.prompts.prompt_ids("transcribe_with_context", "en", size, len(tokens))
        plain = model.prompts.batch([fill(ids, model.prompts, model.prompts.AUDIO, tokens)])
        found, expected = (
            model.llm(inputs_embeds=llm.embed_prompt(each, memory, given)).logits
            for each, given in ((ours, context), (plain, None))
        )
    torch.testing.assert_close(found, expected, **TOLERANCE)


def test_an_encoder_and_an_llm_that_have_not_met(tokenizer, waveforms, tmp_path):
    encoder = miniatures.whisper(tmp_path / "whisper")
    llm = miniatures.qwen3(tmp_path / "qwen3", tokenizer)
    config = miniatures.config_of("whisper_turbo_qwen3")
    config["audio_adaptor_conf"] |= {"ffn_dim": 16, "n_layer": 1, "attention_heads": 4}
    parts = {"audio_encoder": tmp_path / "whisper", "llm": tmp_path / "qwen3"}
    model = import_backbone(config, tmp_path / "sap2", parts=parts)
    speech, lengths = features_of(tmp_path / "sap2", waveforms)
    frames, _ = model.audio_encoder(speech, lengths)
    for row, waveform in enumerate(waveforms):
        mel = qwen2_audio_features(waveform, None)["input_features"]
        with torch.no_grad():
            expected = encoder.model.encoder(mel).last_hidden_state[0]
        real = -(-len(waveform) // 320)
        torch.testing.assert_close(frames[row, :real], expected[:real], **TOLERANCE)
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        torch.testing.assert_close(model.llm(tokens).logits, llm(tokens).logits, **TOLERANCE)
    assert not {name for name in model.from_backbone if name.startswith("audio_adaptor")}


def test_adapters_of_sap2_asr(tokenizer, qwen2_audio, waveforms, tmp_path):
    folder, reference, _ = qwen2_audio
    tensors = miniatures.sap2_asr_adapters(tmp_path / "adapters", reference)
    config = miniatures.config_of("qwen2_audio")
    for part in ("audio_encoder_conf", "llm_conf"):
        config[part].pop("dtype")
    model = import_backbone(config, tmp_path / "sap2", folder / "base", adapters=tmp_path / "adapters")
    assert model.context_pooling.mode == "mean" and "sap2_asr" in str(read_model_config(tmp_path / "sap2"))
    prefix = "base_model.model.language_model.model.layers.1.self_attn.v_proj.lora_"
    delta = 8 / 4 * tensors[f"{prefix}B.weight"] @ tensors[f"{prefix}A.weight"]
    base = reference.model.language_model.layers[1].self_attn.v_proj.weight
    state = standalone_state(model)
    torch.testing.assert_close(state["llm.model.layers.1.self_attn.v_proj.weight"], base + delta, **TOLERANCE)
    again = build_model(tmp_path / "sap2")  # the adapters are in the directory
    torch.testing.assert_close(standalone_state(again), state, **TOLERANCE)


def test_fp32_and_bf16_of_a_backbone_are_alike(qwen2_audio, waveforms):
    folder, _, model = qwen2_audio
    batch = features_of(folder / "sap2", waveforms)
    exact, prompt = plain_logits(model, *batch)
    half, _ = plain_logits(copy.deepcopy(model).bfloat16(), *batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = plain_logits(model, *batch)
    for rough in (half, mixed):
        error = (rough.float() - exact)[prompt.mask].norm() / exact[prompt.mask].norm()
        assert error < 0.05


@pytest.fixture(scope="module")
def osum(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("osum")
    state, llm = miniatures.osum(folder / "infer.pt", tokenizer, folder / "qwen2")
    config = miniatures.osum_config()
    model = import_backbone(config, folder / "sap2", folder / "infer.pt", tokenizer=folder / "qwen2")
    return folder, state, llm, model


def test_osum_has_the_audio_embeddings_of_its_own_code(osum, waveforms):
    folder, state, _, model = osum
    speech, lengths = features_of(folder / "sap2", waveforms)
    with torch.no_grad():
        both = model.language_model.attend(model.encode(speech, lengths))
    for row in range(2):
        found = both.audio[row][both.mask[row]]
        begin, end = state["speech_token_emded.weight"][-2:]
        assert torch.equal(found[0], begin) and torch.equal(found[-1], end)
    # What LLMASR_Model.get_embedding_from_wav and _add_bos_eos of ASLP-lab/OSUM at f2bcfac make of these
    # weights and of the features of the second waveform.
    expected = torch.from_numpy(np.load(Path(__file__).with_name("osum_audio.npy")))
    torch.testing.assert_close(both.audio[1][both.mask[1]], expected, **TOLERANCE)


def test_osum_has_the_logits_of_its_llm_with_adapters(osum, waveforms):
    folder, _, llm, model = osum
    speech, lengths = features_of(folder / "sap2", waveforms[1:])
    logits, _ = plain_logits(model, speech, lengths)
    generated = greedy(model, speech, lengths)
    with torch.no_grad():
        _, embeddings, _ = plain_prompts(model, speech, lengths)
        torch.testing.assert_close(logits, llm(inputs_embeds=embeddings).logits, **TOLERANCE)
        options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        assert torch.equal(generated, llm.generate(inputs_embeds=embeddings, **options))


@pytest.mark.parametrize("window", [1, 2])
def test_parts_of_different_precision_train_together(window, qwen2_audio, waveforms, tmp_path):
    folder, _, _ = qwen2_audio
    config = miniatures.config_of("qwen2_audio")
    config["prompt_conf"]["style"] = "sap2_asr"
    config["context_pooling_conf"]["window"] = window
    config["task_weights"] = {"transcribe_with_context": 1.0}
    model = import_backbone(config, tmp_path / "sap2", folder / "base").train()
    assert model.llm.dtype == torch.bfloat16 and model.audio_adaptor.linear.weight.dtype == torch.float32
    speech, lengths = features_of(tmp_path / "sap2", waveforms)
    text = ["photosynthesis is here", "the leaf"]
    lists = [["photosynthesis", "leaf", "chlorophyll"], ["leaf"]]
    loss, _, _ = model(speech, lengths, text, text, lists, [["photosynthesis"], ["leaf"]])
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.dtype == torch.float32, name
            assert parameter.grad.isfinite().all(), name
