import re

import pytest
import torch

from funasr_sap.context.prompt_table import TASKS
from funasr_sap.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context_poling_conf": {}}, "'context_poling_conf' .did you mean 'context_pooling_conf'"),
        ({"model_conf": {"ctc_wieght": 1.0}}, "'ctc_wieght' .did you mean 'ctc_weight'"),
        (
            {"audio_encoder_conf": {"num_block": 2}},
            "audio_encoder_conf: .*'num_block' .did you mean 'num_blocks'",
        ),
        ({"audio_adaptor_conf": {"hiden_dim": 2}}, "audio_adaptor_conf: .*'hidden_dim'"),
        ({"ctc_conf": {"odm": 2}}, "ctc_conf: unknown key 'odm'"),
        ({"context_pooling_conf": {"windows": 2}}, "context_pooling_conf: .*did you mean 'window'"),
        ({"retrieval_conf": {"tops": 2}}, "retrieval_conf: .*did you mean 'top'"),
        ({"prompt_conf": {"lang": "en"}}, "prompt_conf: .*'lang'"),
        ({"specaug_conf": {"num_freq_masks": 2}}, "specaug_conf: .*did you mean 'num_freq_mask'"),
        ({"llm_conf": {"hidden_sizes": 2}}, "llm_conf: Qwen3Config has no field 'hidden_sizes'"),
        ({"llm": "qwen33"}, "llm: transformers has no architecture 'qwen33'"),
        ({"audio_encoder": "SenseVoiceEncoder"}, "audio_encoder: .*did you mean SenseVoiceEncoderSmall"),
        ({"audio_adaptor": "CTCAdapter"}, "audio_adaptor: .*did you mean CTCAdaptor"),
        ({"task_weights": {"pruning": 1.0}}, "task_weights: unknown key 'pruning'"),
        ({"task_weights": dict.fromkeys(TASKS, 0.0)}, "at least one task needs a weight above 0"),
    ],
)
def test_unknown_keys_and_names_are_errors(changes, message, make_model):
    with pytest.raises(ConfigError, match=message):
        make_model(**changes)


def test_funasrs_own_keys_are_no_errors(make_model):
    make_model(
        model="SAP2",
        batch_size=4,
        vad_model="fsmn-vad",
        optim="adamw",
        train_conf={},
        dataset_conf={},
        hotword="a",
        prune="none",
        output_dir="x",
    )


def load(folder, **options):
    from funasr_sap import AutoModel

    return AutoModel(model=str(folder), device="cpu", ncpu=1, **options)


@pytest.fixture
def broken_dir(small_model_dir, tmp_path):
    """``broken_dir(change)``: a model directory whose weights were changed by a function."""

    def make(change):
        for path in small_model_dir.iterdir():
            (tmp_path / path.name).symlink_to(path)
        weights = torch.load(small_model_dir / "model.pt")
        change(weights)
        (tmp_path / "model.pt").unlink()
        torch.save(weights, tmp_path / "model.pt")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "1 missing: evidence.output.bias;"),
        ("another shape", r"1 misshapen: evidence.output.bias \(5,\), expected \(32,\);"),
        ("left over", "1 left over: evidence.outputs.bias;"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(change, message, broken_dir, caplog):
    def spoil(weights):
        if change == "left over":
            weights["evidence.outputs.bias"] = weights["evidence.output.bias"]
            return
        bias = weights.pop("evidence.output.bias")
        if change == "another shape":
            weights["evidence.output.bias"] = bias[:5]

    folder = broken_dir(spoil)
    with pytest.raises(ConfigError, match=f"init_param does not fit this model; {message}"):
        load(folder)
    load(folder, ignore_init_mismatch=True)
    assert re.search(message.rstrip(";"), caplog.text)


def test_a_directory_without_weights_is_an_error(broken_dir):
    folder = broken_dir(lambda weights: None)
    (folder / "model.pt").unlink()
    with pytest.raises(ConfigError, match=r"no weights in .*expected model.pt"):
        load(folder)


def test_the_directory_gives_the_model_back(small_model_dir, small_model):
    loaded = load(small_model_dir).model
    assert not loaded.training
    expected = small_model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
