"""Sounds are written as in ``phonetics.SYMBOLS``; "^" stands before one that begins a word."""

import pytest
import torch

from funasr_sap.context import phonetics
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.retrieval import retrieve_by_sound


def sounds(text):
    names = ["-", *phonetics.SYMBOLS, *(f"^{name}" for name in phonetics.SYMBOLS)]
    return "".join(names[symbol] for symbol in phonetics.spell(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photosynthesis", "^fotosinTesis"),
        ("Knight", sounds("nit")),
        ("queen", sounds("kwean")),
        ("phloem", sounds("floem")),
        ("Naïve", sounds("naive")),
        ("cell wall", "^sel^wal"),
        ("Cell, WALL!", "^sel^wal"),
        ("北京", "^b__ei^j__ing"),
        ("学", "^x__ue"),
        ("2018 ...", "^2018"),
        ("٢٠۱८ ２０", "^2018^20"),
        ("word2vec", "^word^2^vek"),
        ("... !?", ""),
        ("", ""),
    ],
)
def test_texts_are_read_aloud(text, expected):
    assert sounds(text) == expected


@pytest.mark.parametrize(("one", "other"), [("倍", "贝"), ("公事", "工式"), ("phase", "faze")])
def test_words_that_sound_alike_have_nearly_one_spelling(one, other):
    difference = [a != b for a, b in zip(phonetics.spell(one), phonetics.spell(other), strict=True)]
    assert sum(difference) <= 1


def test_what_is_written_is_likeliest_and_a_blank_costs_nothing_between():
    likelihoods, mask = phonetics.hear(["cell wall", "x"])
    assert mask.sum(1).tolist() == [2 * 6 + 1, 2 * 1 + 1]
    assert likelihoods[0, 1::2].argmax(1).tolist() == phonetics.spell("cell wall")
    assert (likelihoods[0, 0::2].argmax(1) == phonetics.BLANK).all()
    assert likelihoods.amax(2)[mask].eq(0).all()


HEARD = "the brtney forest rests on fotosinthesis and the sumer of zang wei"
SPOKEN = ["britney", "photosynthesis", "Sommer", "Zhang Wei"]
OTHERS = ["brisket", "mitosis", "somersault", "Wang Li", "xylem", "cytoplasm", "kitten", "2018", "..."]
# Two texts of each script, and a word of the first alone.
SCRIPTS = {
    "Latin": ("the light of photosynthesis today", "a kitten under warm water", "photosynthesis"),
    "Cyrillic": ("привет большой чудесный мир", "сегодня хорошая погода", "чудесный"),
    "Greek": ("καλημέρα όμορφε κόσμε σήμερα", "το νερό είναι κρύο", "όμορφε"),
    "Armenian": ("բարեւ գեղեցիկ աշխարհ այսօր", "ջուրը շատ սառն էր", "գեղեցիկ"),
    "Georgian": ("გამარჯობა ლამაზო მსოფლიო დღეს", "წყალი ძალიან ცივია", "მსოფლიო"),
    "Hebrew": ("שלום עולם יפהפה היום", "המים קרים מאוד", "יפהפה"),
    "Arabic": ("مرحبا بالعالم الجميل اليوم", "كانت هذه مدرسة", "بالعالم"),
    "Devanagari": ("नमस्ते सुंदर दुनिया आज", "पानी बहुत ठंडा है", "दुनिया"),
    "Bengali": ("নমস্কার সুন্দর পৃথিবী আজ", "জল খুব ঠান্ডা ছিল", "পৃথিবী"),
    "Tamil": ("வணக்கம் அழகான உலகம் இன்று", "தண்ணீர் மிகவும் குளிர்", "உலகம்"),
    "Telugu": ("నమస్కారం అందమైన ప్రపంచం నేడు", "నీరు చాలా చల్లగా ఉంది", "ప్రపంచం"),
    "Kannada": ("ನಮಸ್ಕಾರ ಸುಂದರ ಪ್ರಪಂಚ ಇಂದು", "ನೀರು ತುಂಬಾ ತಣ್ಣಗಿದೆ", "ಪ್ರಪಂಚ"),
    "Malayalam": ("നമസ്കാരം മനോഹരമായ ലോകം ഇന്ന്", "വെള്ളം വളരെ തണുത്തു", "മനോഹരമായ"),
    "Thai": ("สวัสดีชาวโลกที่สวยงาม", "น้ำเย็นมากในวันนี้", "ชาวโลก"),
    "Lao": ("ສະບາຍດີຊາວໂລກທີ່ສວຍງາມ", "ນ້ຳເຢັນຫຼາຍ", "ຊາວໂລກ"),
    "Khmer": ("សួស្តីពិភពលោកដ៏ស្រស់ស្អាត", "ទឹកត្រជាក់ណាស់", "ពិភពលោក"),
    "Burmese": ("မင်္ဂလာပါကမ္ဘာလောက", "ရေအေးတယ်", "ကမ္ဘာလောက"),
    "Hangul": ("안녕하세요 아름다운 세상 오늘", "물이 매우 차갑다", "아름다운"),
    "Hiragana": ("きょうはすばらしいてんきですね", "みずがとてもつめたい", "すばらしい"),
    "Katakana": ("コンピュータとインターネット", "アメリカ ホテル", "インターネット"),
    "Han": ("我们学习光合作用", "今天天气很好", "光合作用"),
    "Amharic": ("ሰላም ቆንጆ ዓለም ዛሬ", "ውሃው በጣም ቀዝቃዛ", "ቆንጆ"),
    "digits": ("the boeing 73742 of 1998", "flight 5601 at 2285", "73742"),
}


def test_misspelt_keywords_are_found_by_sound(tokenizer):
    words = OTHERS[:5] + SPOKEN + OTHERS[5:]
    biasing_list = BiasingList(words, tokenizer)
    found = retrieve_by_sound([HEARD], [biasing_list], top=4)
    assert {biasing_list.words[place] for place in found.index[0]} == set(SPOKEN)
    assert found.mask.all()


def test_chinese_keywords_are_found_by_sound(tokenizer):
    words = ["张伟", "北京大学", "光和作用", "木质部"]
    biasing_list = BiasingList(words, tokenizer)
    found = retrieve_by_sound(["章卫说光合作用在这里"], [biasing_list], top=2)
    assert sorted(found.index[0].tolist()) == [0, 2] and found.mask.all()


def test_nothing_is_heard_in_an_empty_transcript_and_signs_are_never_heard(tokenizer):
    biasing_list = BiasingList(["britney", "!?..."], tokenizer)
    assert not retrieve_by_sound([""], [biasing_list], top=2).mask.any()
    found = retrieve_by_sound(["britney !?..."], [biasing_list], top=2)
    assert found.confidence[0].tolist()[1] == 0
    kept = {
        place for place, kept in zip(found.index[0].tolist(), found.mask[0].tolist(), strict=True) if kept
    }
    assert kept == {0}


def test_a_batch_gives_what_its_transcripts_give(tokenizer):
    biasing_list = BiasingList(SPOKEN + OTHERS, tokenizer)
    batch = retrieve_by_sound([HEARD, "the kitten"], [biasing_list] * 2, top=5)
    alone = retrieve_by_sound(["the kitten"], [biasing_list], top=5)
    assert torch.equal(batch.mask[1:], alone.mask)
    torch.testing.assert_close(batch.confidence[1:][alone.mask], alone.confidence[alone.mask])


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_of_every_script_are_found_where_they_are_written(script, tokenizer):
    text, other, word = SCRIPTS[script]
    size = len(phonetics.spell(word))
    english = BiasingList(["absolutely"[:size]], tokenizer)
    least = retrieve_by_sound(["absolutely"[:size]], [english], top=1).confidence.item()
    assert least > 0.7
    offered = [BiasingList([word], tokenizer)] * 2
    found = retrieve_by_sound([text, other], offered, top=1)
    assert found.confidence[0].item() >= least - 1e-3
    assert not found.mask[1].any()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("トウキョウ", "ここはとうきょうです"),
        ("ﾄｳｷｮｳ", "ここはトウキョウです"),
        ("ＦＩＦＡ", "the fifa cup"),
        ("Zürich", "a lake near zurich today"),
        ("Ёлка", "наша елка"),
        ("Øresund", "the ØRESUND bridge"),
    ],
)
def test_one_word_in_two_forms_sounds_the_same(word, text, tokenizer):
    found = retrieve_by_sound([text], [BiasingList([word], tokenizer)], top=1)
    assert found.mask.all() and found.confidence.item() > 0.7


def test_a_letter_that_begins_another_word_is_not_heard(tokenizer):
    offered = BiasingList(["V", "a", "IT"], tokenizer)
    assert not retrieve_by_sound(["visit another italian"], [offered], top=3).mask.any()
    assert retrieve_by_sound(["v is a fine letter it is"], [offered], top=3).mask.all()
