"""Voices of espeak-ng: which of them sound like people, and which split each belongs to."""

import itertools
import random

from funasr_sap.data.mini_corpus.vocabulary import check_split

# Accents and how often each is drawn; espeak-ng's data has no "en-gb" of its own.
ACCENTS = {
    "en": {"en-us": 6, "en": 3, "en-gb-x-rp": 2, "en-gb-scotland": 1, "en-029": 1, "en-us-nyc": 1}
    | {"en-gb-x-gbclan": 1, "en-gb-x-gbcwmd": 1},
    "zh": {"cmn": 1},
}
# No whisper, croak, old age, echo chamber or robot. A variant is the timbre of a speaker, hence one split's
# own; variants of one origin (iven to iven4) stay together.
VARIANTS = {
    "train": """
        Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Hugo Jacky Lee Mario Michael anika antonio
        belinda boris ed f1 f2 f5 gustave ian iven iven2 iven3 iven4 john m1 m2 m3 m5 m7 marcelo max
        michel norbert paul quincy rob travis
    """,
    "dev": "Henrique Mike f3 linda m4 miguel robert shelby",
    "test": "Nguyen f4 m6 m8 pedro steph steph2 steph3 victor",
}


def voice_names(split: str, lang: str = "en") -> list[str]:
    """All voices of a split: accent+variant, as espeak-ng names them."""
    check_split(split)
    return [
        f"{accent}+{variant}" for accent, variant in itertools.product(ACCENTS[lang], VARIANTS[split].split())
    ]


def draw_voice(split: str, lang: str, rng: random.Random) -> str:
    """Draw a voice, common accents more often."""
    accents = ACCENTS[lang]
    accent = rng.choices(list(accents), list(accents.values()))[0]
    return f"{accent}+{rng.choice(VARIANTS[split].split())}"
