"""Vocabularies as users give them: to a call, to one of its utterances, as a default, from a shell."""

import json
from pathlib import Path

import pytest

from funasr_sap.context.list_cache import PREPARED
from funasr_sap.context.vocabulary import VocabularyStore
from funasr_sap.errors import DataError
from funasr_sap.recogniser import Recogniser
from funasr_sap.request import Request


@pytest.fixture
def store(tmp_path):
    yield VocabularyStore(tmp_path / "store")
    PREPARED.clear()


def test_it_may_stand_where_a_list_may(model, wavs, hotwords, store, monkeypatch):
    lists = [hotwords, hotwords[:2]]
    expected = model.generate(wavs[:2], hotwords=lists)
    alone = [model.generate(wavs[0], hotwords=words) for words in lists]
    assert expected[0]["keywords"]
    first, second = (store.put(f"list {place}", words) for place, words in enumerate(lists))
    keys = [each["key"] for each in expected]
    requests = [Request(keys[0], wavs[0], first), Request(keys[1], wavs[1], second)]
    Recogniser(model.model, model.kwargs["frontend"]).prepare(first)
    assert model.generate(wavs[:2], hotwords=[first, second]) == expected
    assert model.generate(requests) == expected
    assert model.generate(wavs[:2], hotwords=[first, hotwords[:2]]) == expected
    assert model.generate(wavs[:2], hotwords={keys[0]: first, keys[1]: second}) == expected
    for given in (first, store.folder / "list 0"):
        assert model.generate(wavs[0], hotwords=given) == alone[0]
    monkeypatch.setattr(model, "default_hotwords", second)
    assert model.generate(wavs[0]) == alone[1]


def test_one_that_is_gone_takes_no_other_with_it(model, wavs, hotwords, store):
    gone, here = store.put("gone", hotwords), store.put("here", hotwords)
    store.delete("gone")
    expected = model.generate(wavs[1], hotwords=hotwords)[0]
    results = model.generate([Request("a", wavs[0], gone), Request("b", wavs[1], here)])
    assert "vocabulary gone: " in results[0]["error"] and results[0]["text"] == ""
    assert results[1] == {**expected, "key": "b"}
    with pytest.raises(DataError, match=r"vocabulary gone: .* put its words into the store again"):
        model.generate(wavs[0], hotwords=gone)
    with pytest.raises(DataError, match="hotwords: no such file"):
        model.generate(wavs[0], hotwords=Path(gone.folder))


def test_from_a_shell(model_dir, wavs, hotwords, store, capsys, monkeypatch):
    from funasr_sap.cli import main

    store.put("plants", hotwords)
    monkeypatch.chdir(store.folder.parent)
    for given in (f"+hotwords={store.folder / 'plants'}", "+hotwords=store/plants"):
        call = [f"+model={model_dir}", f"+input={wavs[0]}", "+prune=none", given]
        with pytest.raises(SystemExit, match="0"):
            main(call)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["keywords"] == hotwords
