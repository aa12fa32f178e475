"""Plans of talks: topic, slides, speaker and sentences, from the seed alone and before any sound."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from funasr_sap.data.mini_corpus.grammar import fill_slots
from funasr_sap.data.mini_corpus.language import Language, get_language
from funasr_sap.data.mini_corpus.slides import Slide, make_slide, read_slides
from funasr_sap.data.mini_corpus.speech import Prosody
from funasr_sap.data.mini_corpus.vocabulary import MADE_UP_SHARE, check_split, dictionary_words, made_up_names
from funasr_sap.data.mini_corpus.voices import Voice, draw_voice

# Of a hundred utterances, so many have 0, 1, 2 and 3 rare words.
NUM_RARE_WEIGHTS = (15, 50, 25, 10)


@dataclass(frozen=True)
class Utterance:
    """A sentence of a talk: text, true rare words, what the OCR offers, and how it is spoken."""

    utt_id: str
    text: str
    keywords: tuple[str, ...]
    biasing_list: tuple[str, ...]
    slide: int
    prosody: Prosody


@dataclass(frozen=True)
class Talk:
    """A talk of one speaker."""

    talk_id: str
    voice: Voice
    slides: tuple[Slide, ...]
    utterances: tuple[Utterance, ...]


def plan_talk(split: str, lang: str, seed: int, index: int) -> Talk:
    """Plan a talk; the same arguments always give the same talk.

    Args:
        split: train, dev or test.
        lang: en, en-radio or zh.
        seed: of the corpus.
        index: of the talk in the corpus, from 1.
    """
    check_split(split)
    language = get_language(lang)
    rng = random.Random(f"talk/{lang}/{split}/{seed}/{index}")
    prefix = split if lang == "en" else f"{split}-{lang}"
    talk_id = f"{prefix}-s{seed}-t{index:04d}"
    slides = _make_slides(split, lang, language, rng)
    voice = draw_voice(split, lang, rng)
    prosody = Prosody(rate=rng.randint(130, 210), pitch=rng.randint(30, 70), range=rng.randint(30, 70))
    sentences = []
    for position, slide in enumerate(slides):
        sentences += [(position, *_say(slide, language, rng)) for _ in range(rng.randint(3, 7))]
    utterances = [
        Utterance(
            utt_id=f"{talk_id}-u{number:03d}",
            text=text,
            keywords=keywords,
            biasing_list=read_slides(slides, position),
            slide=position,
            prosody=_vary(prosody, rng),
        )
        for number, (position, text, keywords) in enumerate(sentences, start=1)
    ]
    return Talk(talk_id, voice, slides, tuple(utterances))


def _make_slides(split: str, lang: str, language: Language, rng: random.Random) -> tuple[Slide, ...]:
    """Slides with 4 to 8 rare words of their own and one or two of the topic, which return on many slides."""
    pool = dictionary_words(split, lang)
    names = made_up_names(split, rng, lang)

    def draw(count: int) -> list[str]:
        return [next(names) if rng.random() < MADE_UP_SHARE else rng.choice(pool) for _ in range(count)]

    topic, site = draw(4), "".join(itertools.islice(made_up_names(split, rng), 1))
    slides = []
    for number in range(1, rng.randint(5, 9) + 1):
        words = dict.fromkeys(draw(rng.randint(4, 8)) + rng.sample(topic, rng.randint(1, 2)))
        shuffled = rng.sample(list(words), len(words))
        slides.append(make_slide(shuffled, language, number, site, rng))
    return tuple(slides)


def _say(slide: Slide, language: Language, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """A sentence about a slide, and its rare words in the order spoken."""
    count = rng.choices(range(len(NUM_RARE_WEIGHTS)), NUM_RARE_WEIGHTS)[0]
    rare_words = rng.sample(slide.rare_words, min(count, len(slide.rare_words)))
    tokens = language.grammar.sample(rng, num_slots=len(rare_words))
    words = fill_slots(tokens, rare_words, rng)
    return language.join(words), _in_order(words, rare_words)


def _in_order(words: Sequence[str], rare_words: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(rare_words, key=words.index))


def _vary(prosody: Prosody, rng: random.Random) -> Prosody:
    """Nobody says two sentences alike."""
    return Prosody(
        rate=prosody.rate + rng.randint(-8, 8),
        pitch=prosody.pitch + rng.randint(-4, 4),
        range=prosody.range + rng.randint(-8, 8),
    )
