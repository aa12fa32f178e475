import json
import types

import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.request import Request


class Stub:
    """FunASR's AutoModel around a model of some class; ``answer`` makes the results of a batch of ids."""

    def __init__(self, answer, kind="Paraformer", vad_model=None):
        self.model = type(kind, (), {})()
        self.kwargs = {"frontend": types.SimpleNamespace(fs=16000), "tokenizer": None}
        self.vad_model = vad_model
        self.answer = answer
        self.calls = []

    def generate(self, path, **options):
        with open(path, encoding="utf-8") as stream:
            keys = [json.loads(line)["key"] for line in stream]
        self.calls.append((keys, options))
        return self.answer(keys)


def spoken(keys):
    return [{"key": key, "text": f" words  of {key}", "timestamp": [[0, 60.0, 1]]} for key in keys]


@pytest.fixture
def requests(speech_wavs):
    return [Request(each.key, each.source, []) for each in speech_wavs[:3]]


def recognise(stub, requests, **options):
    from funasr_sap.decode.funasr_model import FunasrModel

    return FunasrModel(stub, options)(requests)


def test_a_batch_is_joined_by_id(requests):
    stub = Stub(lambda keys: spoken(keys[::-1]))
    found = recognise(stub, requests, language="zh")
    assert [each["text"] for each in found] == [f"words of {request.key}" for request in requests]
    assert all(each["timestamp"] == [[0, 60]] for each in found)
    options = {"language": "zh", "output_timestamp": True, "batch_size": 3}
    assert stub.calls == [([request.key for request in requests], options)]


def test_where_results_are_missing_each_is_decoded_alone(requests):
    """Paraformer gives one nameless result for a batch in which it hears nothing."""
    silent = requests[1].key
    stub = Stub(lambda keys: [{"text": ""}] if silent in keys else spoken(keys))
    found = recognise(stub, requests)
    assert [each["text"] != "" for each in found] == [True, False, True]
    assert not any("error" in each for each in found) and len(stub.calls) == 4


def test_a_model_without_batches_is_asked_for_one_once(requests):
    def answer(keys):
        if len(keys) > 1:
            raise NotImplementedError("batch decoding is not implemented")
        return spoken(keys)

    from funasr_sap.decode.funasr_model import FunasrModel

    stub = Stub(answer)
    model = FunasrModel(stub, {})
    assert model(requests) == model(requests)
    assert [len(keys) for keys, _ in stub.calls] == [3, 1, 1, 1, 1, 1, 1]


def test_one_that_a_model_fails_over_takes_no_other_with_it(requests):
    def answer(keys):
        if requests[1].key in keys:
            raise torch.OutOfMemoryError("out of\nmemory")
        return spoken(keys)

    first, bad, last = recognise(Stub(answer), requests)
    assert first["text"] and last["text"]
    assert bad == {
        "key": requests[1].key,
        "text": "",
        "error": f"{requests[1].key}: Paraformer: OutOfMemoryError: out of memory",
    }


def test_unreadable_audio_does_not_reach_the_model(requests, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio")
    stub = Stub(spoken)
    found = recognise(stub, [requests[0], Request("broken", str(broken), []), requests[2]])
    assert found[1]["error"].startswith(f"broken: audio {broken}: not readable as audio")
    assert [keys for keys, _ in stub.calls] == [[requests[0].key, requests[2].key]]


def test_talks_that_are_cut_are_decoded_alone(requests):
    stub = Stub(lambda keys: [], vad_model=object())
    assert [each["text"] for each in recognise(stub, requests)] == ["", "", ""]
    assert [len(keys) for keys, _ in stub.calls] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [("SeacoParaformer", "hotword", "木质部 cell wall"), ("FunASRNano", "hotwords", ["木质部", "cell wall"])],
)
def test_hotwords_are_given_as_the_model_takes_them(kind, name, value, requests):
    words = ["木质部", "cell wall"]
    batch = [Request(each.key, each.audio, list(words)) for each in requests[:2]] + requests[2:]
    stub = Stub(spoken, kind)
    recognise(stub, batch)
    assert [(len(keys), options.get(name)) for keys, options in stub.calls] == [(2, value), (1, None)]


def test_hotwords_are_not_ignored_in_silence(requests):
    with pytest.raises(ConfigError, match=r"a Paraformer takes no hotwords, only SAP2, SeacoParaformer"):
        recognise(Stub(spoken), [Request("utt", requests[0].audio, ["xylem"])])
