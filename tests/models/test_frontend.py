import pytest
import torch

from funasr_sap.errors import DataError
from funasr_sap.models.encoders import Qwen2AudioEncoder, WhisperEncoder, subsampling
from funasr_sap.models.frontend import WhisperMel
from funasr_sap.recogniser import Recogniser
from funasr_sap.request import Request


def test_what_whisper_cannot_hear_is_refused():
    frontend = WhisperMel()
    assert frontend(torch.randn(1, 16000 * 30), [16000 * 30])[0].shape[1] == 3002
    with pytest.raises(DataError, match=r"audio of 300\.00 s; expected 30 s at most"):
        frontend(torch.randn(1, 16000 * 300), [16000 * 300])
    with pytest.raises(DataError, match=r"audio of 30\.01 s"):
        frontend(torch.zeros(2, 16000 * 31), [16000, 16000 * 30 + 160])


@pytest.mark.parametrize(("encoder", "expected"), [(WhisperEncoder, 20), (Qwen2AudioEncoder, 40)])
def test_a_frame_is_as_long_as_the_encoder_says(encoder, expected):
    """Whatever an older configuration says of the frontend."""
    sizes = {"d_model": 8, "encoder_layers": 1, "encoder_attention_heads": 1, "encoder_ffn_dim": 8}
    built = encoder(input_size=80, max_source_positions=1500, **sizes)
    frontend = WhisperMel(subsampling=3)
    assert frontend.frame_shift * frontend.lfr_n * subsampling(built) == expected


def test_too_long_audio_takes_no_other_with_it(small_model):
    audio = {"long": torch.randn(16000 * 31), "short": torch.randn(16000)}
    requests = [Request(key, samples, []) for key, samples in audio.items()]
    waveforms, features, _, errors = Recogniser(small_model, WhisperMel())._load(requests, None)
    assert list(waveforms) == [1] and [len(each) for each in features] == [102]
    assert errors[0].startswith("long: audio of 31.00 s; expected 30 s at most")


def test_a_talk_is_cut_into_what_whisper_can_hear():
    fitting = Recogniser(None, WhisperMel())._fitting([(0.0, 20.0), (25.0, 100.0)])
    assert list(fitting) == [(0.0, 20.0), (25.0, 50.0), (50.0, 75.0), (75.0, 100.0)]
