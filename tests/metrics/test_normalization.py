import pytest

from funasr_sap.errors import ConfigError
from funasr_sap.metrics.normalization import split_characters, text_normalizer


def test_english():
    normalize = text_normalizer("en")
    assert normalize("Mr. Smith's twenty-one, um, cars!") == normalize("mister smith's 21 cars")


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("我用iPhone15 Pro，拍照。", "我用iphone十五 pro拍照"),  # numbers as they are spoken
        ("２０２１年３月", "二零二一年三月"),  # full width
        ("廣州市房地產", "广州市房地产"),  # traditional characters
        ("！", ""),
        ("", ""),
    ],
)
def test_chinese(written, normalized):
    assert text_normalizer("zh")(written) == normalized


def test_a_character_is_a_token_and_so_is_a_run_of_others():
    assert split_characters("我用iPhone15 Pro拍照") == "我 用 iPhone15 Pro 拍 照"
    assert split_characters("𠮷野家 OK〇") == "𠮷 野 家 OK 〇"
    assert split_characters("") == ""


def test_unknown_normalisation_is_an_error():
    assert text_normalizer("none")("As It is.") == "As It is."
    with pytest.raises(ConfigError, match="'fr'"):
        text_normalizer("fr")
