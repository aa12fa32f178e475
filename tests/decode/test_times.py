import json
import types

from funasr_sap.decode.funasr_model import FunasrModel
from funasr_sap.request import Request


class Unsure:
    """A Paraformer that FunASR fails over where it is asked for the times of its tokens."""

    vad_model = None

    def __init__(self, always=False):
        self.model = type("Paraformer", (), {})()
        self.kwargs = {"frontend": types.SimpleNamespace(fs=16000), "tokenizer": None}
        self.always = always

    def generate(self, path, output_timestamp, **options):
        if output_timestamp or self.always:
            raise IndexError("list index out of range")
        with open(path, encoding="utf-8") as stream:
            return [{"key": json.loads(line)["key"], "text": "words"} for line in stream]


def test_words_without_times_where_funasr_fails_over_times(speech_wavs):
    requests = [Request(each.key, each.source, []) for each in speech_wavs[:2]]
    expected = [{"key": each.key, "text": "words", "timestamp": []} for each in requests]
    assert FunasrModel(Unsure(), {})(requests) == expected


def test_a_model_that_fails_without_times_as_well_is_an_error(speech_wavs):
    request = Request(speech_wavs[0].key, speech_wavs[0].source, [])
    (found,) = FunasrModel(Unsure(always=True), {})([request])
    assert found["error"] == f"{request.key}: Paraformer: IndexError: list index out of range"
