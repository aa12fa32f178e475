"""One model served from several threads gives what one thread gives."""

import copy
import pickle
import threading

import pytest

THREADS = 6
ROUNDS = 3


@pytest.fixture(scope="module", params=[None, "silero-vad"])
def served(request, model_dir):
    from funasr_sap import AutoModel

    options = {"ncpu": 1, "disable_pbar": True, "log_level": "WARNING"}
    return AutoModel(model=model_dir, vad_model=request.param, **options)


@pytest.fixture(scope="module")
def calls(wavs, hotwords):
    """Calls with different audio and options."""
    return [
        (wavs[0], {"hotwords": hotwords}),
        (wavs[1], {"hotwords": hotwords[:2], "top": 1, "language": "zh"}),
        (wavs[2], {"use_llm": False, "hotwords": hotwords[3]}),
        (wavs[:2], {"hotwords": [hotwords[:1], hotwords[1:]], "batch_size": 2}),
        (wavs[3], {"prune": "llm", "hotwords": ["<|im_end|>", *hotwords]}),
        (wavs[4], {}),
    ]


def serve(work) -> list:
    """Run ``work(number)`` in threads; what it raises or finds wrong."""
    failures = []

    def run(number):
        try:
            failures.extend(work(number))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_threads_give_what_one_gives(served, calls):
    expected = [served.generate(audio, **options) for audio, options in calls]

    def work(number):
        for turn in range(ROUNDS):
            place = (number + turn) % len(calls)
            audio, options = calls[place]
            if served.generate(audio, **options) != expected[place]:
                yield place

    assert serve(work) == []


def test_threads_share_a_vad_model(wavs):
    from funasr_sap import AutoModel

    vad = AutoModel(model="silero-vad", ncpu=1, disable_pbar=True)
    expected = [vad.generate(wav)[0]["value"] for wav in wavs[:2]]

    def work(number):
        for place in (0, 1) * ROUNDS:
            if vad.generate(wavs[place])[0]["value"] != expected[place]:
                yield place

    assert serve(work) == []


def test_a_call_changes_nothing_of_the_model(model, wavs, hotwords):
    before = dict(model.kwargs)
    model.generate(wavs[0], hotwords=hotwords, top=1, language="zh", cache={}, is_final=True)
    assert model.kwargs == before


def test_a_model_is_copied_and_pickled(model, wavs):
    expected = model.generate(wavs[0])
    assert copy.deepcopy(model).generate(wavs[0]) == expected
    assert pickle.loads(pickle.dumps(model)).generate(wavs[0]) == expected
