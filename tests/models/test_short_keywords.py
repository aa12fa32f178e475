"""The embedded model with keywords that nearly every utterance seems to have, or that none can have."""

import string

import pytest

UNHEARD = ["東京", "---", "100%", "😀", "2021", "2", "42"]


@pytest.fixture(scope="module")
def embedded():
    from funasr_sap import AutoModel

    return AutoModel(model="sap2", ncpu=1, disable_pbar=True, log_level="ERROR")


@pytest.fixture(scope="module")
def plain(embedded, speech_wavs):
    return embedded.generate([each.source for each in speech_wavs])


def recognise(embedded, speech_wavs, hotwords):
    return embedded.generate([each.source for each in speech_wavs], hotwords=hotwords)


@pytest.mark.parametrize(
    "hotwords", [["V"], ["s"], [*string.ascii_uppercase], ["IT", "Go", "AI", "C", "R", "K"]]
)
def test_short_keywords_are_written_only_over_words_that_were_said(hotwords, embedded, plain, speech_wavs):
    results = recognise(embedded, speech_wavs, hotwords)
    assert [each["text"].casefold() for each in results] == [each["text"] for each in plain]
    for result in results:
        assert {word.casefold() for word in result["keywords"]} <= {*result["text"].casefold().split()}


@pytest.mark.parametrize("hotwords", [UNHEARD, *([word] for word in UNHEARD)])
def test_what_cannot_be_heard_is_not_found_and_changes_nothing(hotwords, embedded, plain, speech_wavs):
    assert recognise(embedded, speech_wavs[:4], hotwords) == plain[:4]


def test_the_words_that_are_said_are_found_beside_them(embedded, speech_wavs):
    keywords = sorted({word for each in speech_wavs for word in each.keywords})
    results = recognise(embedded, speech_wavs, [*UNHEARD, *keywords, *string.ascii_lowercase])
    found = [
        word in result["keywords"]
        for each, result in zip(speech_wavs, results, strict=True)
        for word in each.keywords
    ]
    assert sum(found) >= 0.9 * len(found)
