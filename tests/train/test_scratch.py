import json
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer

from funasr_sap.audio import load_audio
from funasr_sap.context.prompt_table import TASKS, special_tokens
from funasr_sap.context.prompts import PromptTemplate
from funasr_sap.train.scratch import BLANK_TOKEN, compute_cmvn, main, train_tokenizer

CONF = Path(__file__).parents[2] / "conf"


def test_the_tokenizer_spells_any_text(tokenizer):
    for text in (
        "thirty five gardens",
        "木质部 and 👩‍👩‍👧",
        "naïve façade",
        "tab\tand\nline",
        "İstanbul",
        "\x00",
    ):
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids and not set(ids) & set(tokenizer.all_special_ids)
        # NFC and lower case, with the space that every sentence begins with.
        assert tokenizer.decode(ids) == " " + text.lower()


def test_the_blank_is_id_0_and_padding(tokenizer):
    assert tokenizer.convert_ids_to_tokens(0) == BLANK_TOKEN
    assert tokenizer.pad_token_id == 0 and tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.convert_tokens_to_ids(special_tokens()) == list(range(1, len(special_tokens()) + 1))


def test_the_tokenizer_has_its_size_and_cheap_prompts(tokenizer):
    assert len(tokenizer) == 400
    for task in TASKS:
        length = len(PromptTemplate(tokenizer).prompt_ids(task, "en", 0, 0))
        assert length < 45, task


def test_the_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    fresh = train_tokenizer(["a xylem rises"] * 3, 400, tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("the Xylem, 42!", "<|im_end|>"):
        for split in (True, False):
            arguments = {"add_special_tokens": False, "split_special_tokens": split}
            assert saved.encode(text, **arguments) == fresh.encode(text, **arguments)
    assert fresh.get_vocab() == train_tokenizer(["a xylem rises"] * 3, 400, tmp_path / "again").get_vocab()
    assert fresh.get_vocab() != tokenizer.get_vocab()


def test_features_are_normalised(features, speech_wavs, frontend):
    frames = torch.cat(features).double()
    torch.testing.assert_close(frames.mean(0), torch.zeros(560).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(frames.std(0), torch.ones(560).double(), atol=1e-2, rtol=0)


def test_silence_leaves_the_statistics_finite(tmp_path):
    import soundfile
    from funasr.register import tables

    soundfile.write(tmp_path / "a.wav", torch.zeros(16000).numpy(), 16000)
    conf = {"fs": 16000, "window": "hamming", "n_mels": 80, "lfr_m": 7, "lfr_n": 6, "dither": 0.0}
    compute_cmvn(
        [str(tmp_path / "a.wav")], tables.frontend_classes["WavFrontend"](**conf), tmp_path / "am.mvn"
    )
    frontend = tables.frontend_classes["WavFrontend"](**conf, cmvn_file=str(tmp_path / "am.mvn"))
    waveform = load_audio(tmp_path / "a.wav")
    normalised = frontend(waveform[None], [16000])[0][0]
    assert normalised.isfinite().all() and normalised.abs().max() < 10


def test_a_directory_to_train_from(speech_dir, tmp_path):
    config = yaml.safe_load((CONF / "sap2_tiny.yaml").read_text(encoding="utf-8"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = ["--train", str(speech_dir / "data.jsonl"), "--output-dir", str(tmp_path / "init")]
    main(["--config", str(tmp_path / "config.yaml"), *arguments])
    written = yaml.safe_load((tmp_path / "init" / "config.yaml").read_text(encoding="utf-8"))
    for key in ("model", "audio_encoder", "llm", "context_pooling_conf", "retrieval_conf", "task_weights"):
        assert written[key] == config[key]
    assert str(tmp_path) not in (tmp_path / "init" / "config.yaml").read_text(encoding="utf-8")
    files = json.loads((tmp_path / "init" / "configuration.json").read_text(encoding="utf-8"))
    assert files["file_path_metas"]["frontend_conf"] == {"cmvn_file": "am.mvn"}
    assert (tmp_path / "init" / "am.mvn").is_file() and not (tmp_path / "init" / "model.pt").exists()
    # Twelve transcripts have no more pieces to merge.
    assert 550 < len(AutoTokenizer.from_pretrained(tmp_path / "init" / "tokenizer")) <= config["vocab_size"]


def test_its_help_needs_no_data(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])
    assert exit_info.value.code == 0 and "--output-dir" in capsys.readouterr().out


def test_a_missing_file_is_one_sentence(tmp_path, capsys):
    from funasr_sap.tool import run

    arguments = ["--config", str(tmp_path / "no.yaml"), "--train", "x", "--output-dir", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as exit_info:
        run(lambda: main(arguments))
    assert exit_info.value.code == 1 and "no.yaml; expected a file" in capsys.readouterr().err
