"""Voices of espeak-ng: which of them sound like people, and which split each belongs to."""

import itertools
import random
from dataclasses import dataclass

from funasr_sap.data.mini_corpus.vocabulary import check_split

# Accents and how often each is drawn; espeak-ng's data has no "en-gb" of its own.
ACCENTS = {
    "en": {"en-us": 6, "en": 3, "en-gb-x-rp": 2, "en-gb-scotland": 1, "en-029": 1, "en-us-nyc": 1}
    | {"en-gb-x-gbclan": 1, "en-gb-x-gbcwmd": 1},
    "en-radio": {"en-gb-scotland": 2, "en-029": 2, "en-us": 2, "en-gb-x-rp": 1, "en-gb-x-gbclan": 1},
    "zh": {"cmn": 1},
}
# The timbre of a speaker, hence one split's own; variants of one origin (iven to iven4) stay together. None
# whispers, croaks, echoes in a chamber or is a robot's; none has breath, whose noise espeak-ng never repeats;
# and since a vocal tract scales all its formants together, none moves the first three apart (by more than a
# factor of 1.3).
VARIANTS = {
    "train": {
        "female": "Andrea Annie anika belinda f1",
        "male": """
            Alex Denis Diogo Gene Gene2 Hugo Mario antonio ed ian iven iven2 iven3 iven4 john m1 m2 m3 m5
            m7 max michel paul quincy rob
        """,
    },
    "dev": {"female": "linda", "male": "Henrique Mike m4 miguel robert"},
    "test": {"female": "f4 steph steph2 steph3", "male": "Nguyen m6 m8 pedro"},
}
# Factors on the length of a variant's vocal tract: few timbres make many speakers to learn from.
# On the radio are people who give no lectures: their vocal tracts are longer than any lecturer's.
VOCAL_TRACTS = {
    "en": {"train": (0.85, 1.15), "dev": (1.0, 1.0), "test": (1.0, 1.0)},
    "en-radio": {"train": (1.2, 1.35), "dev": (1.2, 1.35), "test": (1.2, 1.35)},
}
VOCAL_TRACTS["zh"] = VOCAL_TRACTS["en"]


@dataclass(frozen=True)
class Voice:
    """A speaker: espeak-ng's name of the voice, and the length of the vocal tract relative to the voice's."""

    name: str
    vocal_tract: float = 1.0


def voice_names(split: str, lang: str = "en") -> list[str]:
    """All voices of a split: accent+variant, as espeak-ng names them."""
    check_split(split)
    variants = " ".join(VARIANTS[split].values()).split()
    return [f"{accent}+{variant}" for accent, variant in itertools.product(ACCENTS[lang], variants)]


def draw_voice(split: str, lang: str, rng: random.Random) -> Voice:
    """Draw a speaker: common accents more often, women as often as men."""
    accents = ACCENTS[lang]
    accent = rng.choices(list(accents), list(accents.values()))[0]
    variants = VARIANTS[split][rng.choice(("female", "male"))].split()
    return Voice(f"{accent}+{rng.choice(variants)}", rng.uniform(*VOCAL_TRACTS[lang][split]))
