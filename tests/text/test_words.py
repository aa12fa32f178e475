import unicodedata

import hypothesis.strategies as st
import pytest
from hypothesis import given

from funasr_sap.text.words import (
    Span,
    find,
    has,
    insert,
    keyword_key,
    phrase_key,
    phrases,
    replace,
    same,
    split_words,
    tokens,
    words,
)

# One word of each script, in a sentence with punctuation and, where the script has them, blanks.
SENTENCES = [
    ("photosynthesis", "The leaf uses photosynthesis, and light."),
    ("Фотосинтез", "Листья: «фотосинтез» и свет."),
    ("φωτοσύνθεση", "Η φωτοσύνθεση, και το φως."),
    ("ֆոտոսինթեզ", "Տերևի ֆոտոսինթեզ։"),
    ("ფოტოსინთეზი", "ფოთლის ფოტოსინთეზი, და"),
    ("פוטוסינתזה", "העלה: פוטוסינתזה, ואור"),
    ("التمثيل الضوئي", "الورقة تستخدم التمثيل الضوئي، والضوء"),
    ("प्रकाश संश्लेषण", "पत्ती प्रकाश संश्लेषण।"),
    ("সালোকসংশ্লেষণ", "পাতা সালোকসংশ্লেষণ, আলো"),
    ("ஒளிச்சேர்க்கை", "இலை ஒளிச்சேர்க்கை, ஒளி"),
    ("การสังเคราะห์แสง", "ใบไม้ใช้การสังเคราะห์แสงและแสง"),
    ("광합성", "잎은 광합성을 한다."),
    ("こうごうせい", "葉はこうごうせい、をする"),
    ("コーヒー", "私はコーヒーを飲む"),
    ("光合作用", "我们学习光合作用。"),
    ("𠮷野家", "去𠮷野家，吃饭"),
    ("ፎቶሲንተሲስ", "ቅጠሉ ፎቶሲንተሲስ፣ ብርሃን"),
    ("737", "a 737, late"),
    ("1,000", "about 1,000."),
    ("C++", "in C++, or C"),
    ("GPT-4", "(GPT-4)"),
]


@pytest.mark.parametrize(("keyword", "text"), SENTENCES)
def test_a_keyword_stands_beside_punctuation_in_any_script(keyword, text):
    (span,) = find(keyword, text)
    assert same(text[span.start : span.end], keyword)
    assert has(keyword.upper(), text)
    assert replace(text, span, keyword) == text[: span.start] + keyword + text[span.end :]


@pytest.mark.parametrize(
    ("keyword", "text", "stands"),
    [
        ("ann", "ann's book", True),
        ("Nixon", "Nixon’s plan", True),
        ("Don", "I don't", False),
        ("Neil", "O'Neil", False),
        ("École", "à l'École", True),
        ("Qwen", "Qwen-based", True),
        ("C", "C++", False),
        ("C++", "C", False),
        ("net", ".NET", False),
        (".NET", "in .NET now", True),
        ("AT", "AT&T", False),
        ("1", "1,000", False),
        ("art", "state-of-the-art", True),
        ("state of the art", "State-of-the-art.", True),
        ("deep learning", "deep, learning", False),
        ("AC/DC", "by AC/DC.", True),
        ("AC/DC", "ac dc", False),
        ("synthesis", "photosynthesis", False),
        ("ａｐｌｉｒｍａｌ", "our aplirmal bridge", True),
        ("naïve", unicodedata.normalize("NFD", "a naïve one"), True),
        ("mitosis", "", False),
        ("---", "a --- b", False),
        ("", "a", False),
    ],
)
def test_what_stands_in_a_text(keyword, text, stands):
    assert has(keyword, text) == bool(find(keyword, text)) == stands


def test_signs_at_the_edges_of_a_keyword_are_its_own():
    assert find("Yahoo!", "yahoo! and yahoo") == [Span(0, 6), Span(11, 16)]
    assert find("ha ha", "ha ha ha") == [Span(0, 5)]  # occurrences do not overlap


@given(st.text("ab'-., 光C+", max_size=12), st.text("ab'-., 光C+", max_size=5))
def test_a_keyword_stands_where_its_tokens_follow_each_other(text, keyword):
    keys, wanted = ([token.key for token in tokens(each)] for each in (text, keyword))
    places = range(len(keys) - len(wanted) + 1) if wanted else ()
    follows = any(keys[place : place + len(wanted)] == wanted for place in places)
    assert not has(keyword, text) or follows
    if len(wanted) == 1:
        assert has(keyword, text) == follows
    assert has(keyword, keyword) == bool(wanted)


@given(st.text("ab .,光c", max_size=12), st.sampled_from(["big", "光合", "C++"]))
def test_a_keyword_that_is_written_stands_there_and_takes_nothing_away(text, keyword):
    for start, end in words(text):
        assert has(keyword, replace(text, Span(start, end), keyword))
        written = insert(text, start, keyword)
        assert has(keyword, written)
        assert sorted(written.replace(" ", "")) == sorted((text + keyword).replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the  cell-wall's 木质部 GPT中文 42", ["the", "cell-wall's", *"木质部", "GPT", *"中文", "42"]),
        (" one two's 你好，world 3.5", ["one", "two's", "你", "好，", "world", "3.5"]),
        ("ありがとう", [*"ありがとう"]),
        ("〇〇𠮷𠮷", [*"〇〇𠮷𠮷"]),
        ("他说：“好（的）！”", ["他", "说：", "“好", "（的）！”"]),
        ("Wait — (what)?", ["Wait", "(what)?"]),
        ("...", []),
    ],
)
def test_words_as_they_are_written(text, expected):
    assert split_words(text) == expected


def test_keys():
    assert keyword_key("State-of-the  ART") == keyword_key("state of the art") != keyword_key("C")
    assert not same("C", "C++")
    assert phrase_key("Deep  learning!") in phrases(["It is DEEP learning."], 2)
    assert phrases(["one two three", "你好"], 2) == {
        "one",
        "two",
        "three",
        "one two",
        "two three",
        "你",
        "好",
        "你 好",
    }
