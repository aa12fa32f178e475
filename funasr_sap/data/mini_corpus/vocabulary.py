"""Rare words of the mini corpus: dictionary words and made-up names, disjoint between the splits."""

import functools
import hashlib
import random
import re
from collections.abc import Iterator

from funasr_sap.data.mini_corpus.language import get_language
from funasr_sap.errors import ConfigError
from funasr_sap.extras import import_extra

SPLITS = ("train", "dev", "test")
# Words more frequent than this rank are common; the list ends where typing errors begin to prevail.
NUM_COMMON, NUM_LISTED = 8_000, 80_000
MADE_UP_SHARE = 0.3

SUFFIXES = ("'s", "s", "es", "ed", "d", "ing", "ly", "er", "ers", "ings")
ONSETS = """
b br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sc sh sk sl sp st str t th tr v w y
z
"""
NUCLEI = "a a a e e e i i o o o u u ai au ea ee ei ia io oa oo ou"
CODAS = "b ck d ff g l l ld lm ln m m mp n n n nd ng nk nt p r r rd rk rm rn rt s s sk ss st t th x z"
ENDINGS = """
a ac ad al an ar ara as ax ea eck eda el en ena er ero eth etta eus ia ian ic id ik il im in ina ine io is
ista ith ium ius ix o ol on ona or ora os oth ov ova ox um ur us yx ander burg dale ford gard ley mond sen
ton vik
"""
SURNAMES = "赵钱孙周吴郑冯陈褚卫蒋沈韩杨朱秦许何吕施孔曹严金魏陶姜戚谢邹喻柏章苏潘葛范彭鲁韦马苗方俞任袁柳史"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂辉玲宁轩涵瑶璇宸睿琪铭皓曦岚峰霖煜翰瑾逸飞晨昊琳颖莹泽"


def check_split(split: str) -> None:
    """Refuse a name that is no split."""
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")


def split_of(word: str) -> str:
    """The split a rare word belongs to, by its hash alone: 80 % train, 10 % dev, 10 % test."""
    bucket = int(hashlib.sha256(word.encode()).hexdigest(), 16) % 10
    return "train" if bucket < 8 else SPLITS[bucket - 7]


@functools.lru_cache(maxsize=8)
def dictionary_words(split: str, lang: str = "en") -> tuple[str, ...]:
    """All rare dictionary words of a split, sorted."""
    check_split(split)
    base = get_language(lang).base
    shape = re.compile("[a-z]{5,14}" if base == "en" else "[\u4e00-\u9fff]{2,4}")
    listed = _listed_words(lang)
    frequent = frozenset(listed[:NUM_COMMON]) | get_language(lang).vocabulary | get_language(base).vocabulary
    return tuple(
        sorted(
            word
            for word in listed[NUM_COMMON:]
            if shape.fullmatch(word) and split_of(word) == split and not _is_form_of(word, frequent)
        )
    )


def made_up_names(split: str, rng: random.Random, lang: str = "en") -> Iterator[str]:
    """Yield names of a split that no dictionary has, without end; one may come twice."""
    check_split(split)
    known = _known_words(lang)
    invent = _english_name if get_language(lang).base == "en" else _mandarin_name
    while True:
        name = invent(rng)
        if name not in known and split_of(name) == split:
            yield name


def rare_vocabulary(
    split: str, size: int, seed: int = 0, lang: str = "en", made_up: float = MADE_UP_SHARE
) -> list[str]:
    """Draw distinct rare words of a split, for example as distractors.

    Args:
        split: train, dev or test; no word is in two splits, whatever the seed.
        size: number of words; where the dictionary has too few, made-up names fill up.
        seed: of the draw.
        lang: en, en-radio or zh.
        made_up: share of made-up names.
    Returns: ``size`` words in random order.
    """
    rng = random.Random(f"rare_vocabulary/{lang}/{split}/{seed}")
    pool = dictionary_words(split, lang)
    words = dict.fromkeys(rng.sample(pool, min(len(pool), round(size * (1 - made_up)))))
    for name in made_up_names(split, rng, lang):
        if len(words) >= size:
            break
        words[name] = None
    drawn = list(words)
    rng.shuffle(drawn)
    return drawn


@functools.lru_cache(maxsize=3)
def _listed_words(lang: str) -> tuple[str, ...]:
    """The words of the frequency list, most frequent first."""
    language = get_language(lang)
    wordfreq = import_extra("wordfreq", "the mini corpus")
    return tuple(wordfreq.top_n_list(language.base, NUM_LISTED))


@functools.lru_cache(maxsize=3)
def _known_words(lang: str) -> frozenset[str]:
    return frozenset(_listed_words(lang)) | get_language(lang).vocabulary


def _is_form_of(word: str, frequent: frozenset[str]) -> bool:
    """Whether a word is frequent or a plain inflection of a frequent one ("studies", "running", "hoped")."""
    if word in frequent:
        return True
    for suffix in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem == word:
            continue
        stems = {stem, stem + "e", stem[:-1]} if stem[-1:] == stem[-2:-1] else {stem, stem + "e"}
        if stem.endswith("i"):
            stems.add(stem[:-1] + "y")
        if stems & frequent:
            return True
    return False


def _english_name(rng: random.Random) -> str:
    while True:
        syllables = [
            rng.choice(ONSETS.split()) + rng.choice(NUCLEI.split())
            for _ in range(rng.choice((1, 1, 2, 2, 3)))
        ]
        for i in range(len(syllables) - 1):
            if rng.random() < 0.3:
                syllables[i] += rng.choice(CODAS.split())
        last = rng.choice(ONSETS.split() if rng.random() < 0.5 else CODAS.split()) + rng.choice(
            ENDINGS.split()
        )
        name = "".join([*syllables, last])
        if rng.random() < 0.15:
            name = rng.choice("aeiou") + name
        # Four consonants in a row cannot be pronounced.
        if 5 <= len(name) <= 12 and not re.search("[^aeiouy]{4}|(.)\\1\\1", name):
            return name


def _mandarin_name(rng: random.Random) -> str:
    return rng.choice(SURNAMES) + rng.choice(GIVEN) + rng.choice(GIVEN)
