import numpy as np
import pytest
import soundfile

from funasr_sap.data.kaldi import read_kaldi
from funasr_sap.data.mini_corpus.nonspeech import KINDS, LEVELS, SECONDS, main, make_clip, make_nonspeech
from funasr_sap.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
def test_clips_keep_to_lengths_and_levels(kind):
    for seed in range(5):
        wave = make_clip(kind, np.random.default_rng(seed)) / 32768
        assert SECONDS[0] * 16_000 - 1 <= len(wave) <= SECONDS[1] * 16_000 + 1
        level = 20 * np.log10(np.sqrt(np.mean(wave**2)) + 1e-9)
        # Clipping and rounding to 16 bits move a level a little; silence has none.
        assert level < -90 if kind == "silence" else LEVELS[0] - 6 <= level <= LEVELS[1] + 0.1


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_nonspeech(tmp_path / name, clips=len(KINDS), seed=seed)
    first, again, other = (sorted((tmp_path / name / "wav").iterdir()) for name in "abc")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert not {path.read_bytes() for path in first} & {path.read_bytes() for path in other}


def test_a_kaldi_directory_with_nothing_said(tmp_path):
    main(["--output-dir", str(tmp_path), "--clips", "9", "--seed", "4"])
    wavs, durations = read_kaldi(tmp_path / "wav.scp"), read_kaldi(tmp_path / "utt2dur")
    assert set(read_kaldi(tmp_path / "text", allow_empty=True).values()) == {""}
    assert len(wavs) == 9 and all(kind in " ".join(wavs) for kind in KINDS)
    for utt_id, path in wavs.items():
        assert float(durations[utt_id]) == pytest.approx(soundfile.info(path).duration, abs=1e-4)


def test_no_clips_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="expected at least 1, got 0"):
        make_nonspeech(tmp_path, clips=0)
