"""English of lectures: common words, their inflection, and the rules that join them."""

from collections.abc import Sequence

from funasr_sap.data.mini_corpus.grammar import Grammar

NOUNS = """
actor animal answer apple area army article artist bank battle bird boat body book border bottle box
bridge building camera car castle cell chair chapter city class climate cloud coast colour company
computer concept country course culture dance desert device disease doctor door dream effect electron
engine event example experiment face factor family farmer field figure film fire fish flower forest friend
garden glass government group history hospital house idea image island journal judge kitchen lake language
law leader letter level library machine map market material message method mineral model mountain movement
museum music nation network number object ocean option page painting paper park partner pattern people
person picture planet plant poem police practice price problem process product project question queen
reason region result river road room sample school science scientist season section sentence ship signal
society soldier song sound species speech star station story street student surface system table teacher
temple theory thing tool town train tree university valley vector village voice war water wind window
winter woman word worker world writer year
"""
PLURALS = {"person": "persons", "people": "people", "fish": "fish", "species": "species", "woman": "women"}

REGULAR_TRANSITIVE = """
answer apply call carry change check collect combine compare connect consider contain control copy count
cover create define describe design develop discover discuss estimate examine expect explain explore
follow help identify improve include increase influence introduce join label limit measure mention move
name need observe open order paint present print produce protect publish reach receive record reduce
remove repeat replace report represent require select separate share solve store study support surround
test touch train transform transport treat use value visit watch
"""
# Base, third person, past, participle, -ing.
IRREGULAR_TRANSITIVE = """
break breaks broke broken breaking | bring brings brought brought bringing |
build builds built built building |
buy buys bought bought buying | catch catches caught caught catching | choose chooses chose chosen choosing |
draw draws drew drawn drawing | drive drives drove driven driving | find finds found found finding |
get gets got got getting | give gives gave given giving | hold holds held held holding |
keep keeps kept kept keeping | make makes made made making | read reads read read reading |
see sees saw seen seeing | send sends sent sent sending | take takes took taken taking |
teach teaches taught taught teaching | understand understands understood understood understanding |
win wins won won winning | write writes wrote written writing
"""
REGULAR_INTRANSITIVE = "appear arrive work travel stay remain live happen return continue talk wait walk"
IRREGULAR_INTRANSITIVE = """
grow grows grew grown growing | fall falls fell fallen falling | rise rises rose risen rising |
stop stops stopped stopped stopping | sleep sleeps slept slept sleeping | begin begins began begun beginning
"""
REGULAR_CLAUSE = "argue assume believe claim hope learn remember report suggest suppose"
IRREGULAR_CLAUSE = """
know knows knew known knowing | say says said said saying | show shows showed shown showing |
think thinks thought thought thinking | feel feels felt felt feeling | prove proves proved proven proving
"""

ADJECTIVES = """
active ancient bad basic beautiful better big black blue bright broad busy cheap clean clear cold common
complex cool correct dark deep different difficult direct double dry early easy empty exact famous fast
final fine first flat foreign formal free fresh full general global good great green happy hard heavy high
hot huge human important interesting large last late light little local long low main major modern narrow
natural new nice normal old open perfect poor popular private public quick quiet rare real recent red rich
round second serious sharp short simple slow small social soft special steady strange strong tall thick
thin third tiny typical useful usual warm weak white whole wide wild wrong young
"""
ADVERBS = """
again almost already also always badly carefully certainly clearly directly early easily finally generally
here hardly later mainly mostly never now often only probably quickly quietly rarely really simply slowly
sometimes soon still there today together usually well
"""
PREPOSITIONS = """
about above across after against along among around at before behind below between by during for from in
inside into like near of on over through to toward under until with without
"""
NAMES = """
adam africa alice america anna asia berlin boston canada charles china david egypt emma england europe
france germany greece henry india italy james japan john kate london maria mary mexico paris peter robert
rome russia sarah spain thomas
"""
NUMBERS = """
two; three; four; five; six; seven; eight; nine; ten; eleven; twelve; fifteen; twenty; thirty; forty;
fifty; sixty; ninety; a hundred; a thousand; twenty one; thirty five; forty two; two hundred; five
thousand
"""
INTROS = """
so; now; well; as you can see; in other words; as we saw earlier; for example; in the last lecture; of
course; as i said before; let me remind you that; what this means is that; it is clear that; the point is
that; notice that; i should add that; in practice; at the same time; on the other hand; in the next part;
in short; as a result; after all; in this case; remember that; it turns out that; first of all; by the way
"""
LEADS = """
let us look at; on the next slide you can see; here you can see; let us talk about; today we will talk
about; this slide shows; now we turn to; the next topic is; let me show you; next comes; here is; i want
to introduce; we now move on to; let us begin with; the last example is; this brings us to; here we have;
let us go back to; the next slide is about; we will come back to; let us think about; on the left you can
see; look at
"""

RULES = {
    "SENTENCE": [
        "8 CLAUSE",
        "2 CLAUSE ADVERB",
        "3 INTRO CLAUSE",
        "3 LEAD NP",
        "2 LEAD NP TAIL",
        "3 QUESTION",
        "1 COMMAND",
        "2 THERE",
        "3 CLAUSE CONJUNCTION CLAUSE",
        "2 SUBORDINATOR CLAUSE CLAUSE",
        "2 PP CLAUSE",
    ],
    "CLAUSE": ["4 NP_S VP_S", "3 NP_P VP_P", "2 PRONOUN_P VP_P", "1 PRONOUN_S VP_S"],
    "VP_S": [
        "3 VT_S NP",
        "1 ADVERB VT_S NP",
        "2 VI_S PP",
        "1 VC_S that CLAUSE",
        "2 is ADJP",
        "2 is VT_PP by NP",
        "1 was VT_PP in YEAR",
        "1 has VT_PP NP",
        "1 is VT_ING NP",
        "1 is NP_S",
        "1 is not NP_S",
        "4 VP",
    ],
    "VP_P": [
        "3 VT_B NP",
        "1 ADVERB VT_B NP",
        "2 VI_B PP",
        "1 VC_B that CLAUSE",
        "2 are ADJP",
        "2 are VT_PP by NP",
        "1 were VT_PP in YEAR",
        "1 have VT_PP NP",
        "1 are VT_ING NP",
        "1 do not VT_B NP",
        "4 VP",
    ],
    "VP": [
        "3 VT_D NP",
        "1 VI_D PP",
        "1 VC_D that CLAUSE",
        "2 MODAL VT_B NP",
        "1 MODAL be VT_PP by NP",
        "1 VT_D NP PP",
        "1 VT_D NP and VT_D NP",
        "1 MODAL VI_B PP",
    ],
    "NP": ["4 NP_S", "3 NP_P", "1 PRONOUN_O"],
    "NP_S": [
        "4 DETERMINER_S NBAR_S",
        "3 NAME",
        "1 DETERMINER_S NBAR_S PP",
        "1 DETERMINER_S NBAR_S of NP",
        "1 DETERMINER_S NBAR_S that VP_S",
        "1 NBAR_S",
        "1 DETERMINER_S NAME NOUN_S",
    ],
    "NP_P": [
        "3 DETERMINER_P NBAR_P",
        "2 NUMBER NBAR_P",
        "1 NAME and NAME",
        "1 DETERMINER_P NBAR_P PP",
        "2 NBAR_P",
        "1 NUMBER percent of NP",
        "1 DETERMINER_P NBAR_P that VP_P",
    ],
    "NBAR_S": ["4 NOUN_S", "3 ADJECTIVE NOUN_S", "1 ADVERB ADJECTIVE NOUN_S", "2 NOUN_S NOUN_S"],
    "NBAR_P": ["4 NOUN_P", "3 ADJECTIVE NOUN_P", "1 ADVERB ADJECTIVE NOUN_P", "2 NOUN_S NOUN_P"],
    "ADJP": ["3 ADJECTIVE", "2 DEGREE ADJECTIVE", "1 more ADJECTIVE than NP", "1 as ADJECTIVE as NP"],
    "PP": ["PREPOSITION NP"],
    "TAIL": ["2 PP", "2 and NP", "1 TAIL_PHRASE", "1 that VP_S"],
    "YEAR": ["nineteen YEAR_END", "eighteen YEAR_END", "seventeen YEAR_END", "twenty YEAR_END"],
    "THERE": [
        "there is DETERMINER_S NBAR_S PP",
        "there are NUMBER NBAR_P PP",
        "there are ADVERB ADJECTIVE NOUN_P",
    ],
    "COMMAND": ["please VT_B NP PP", "do not VT_B NP if CLAUSE", "VT_B NP before CLAUSE", "try to VT_B NP"],
    "QUESTION": [
        "how does NP_S VT_B NP",
        "why do NP_P VT_B NP",
        "what is NP_S",
        "can NP_P VT_B NP PP",
        "does NP_S VT_B NP PP",
        "what happens if CLAUSE",
        "who VT_D NP PP",
        "where did NP_S VT_B NP",
        "is NP_S ADJP",
    ],
}


def _conjugate(verb: str) -> list[str]:
    """Base, third person, past, participle and -ing of a regular verb that doubles no consonant."""
    if verb.endswith("y") and verb[-2] not in "aeou":
        return [verb, verb[:-1] + "ies", verb[:-1] + "ied", verb[:-1] + "ied", verb + "ing"]
    third = verb + ("es" if verb.endswith(("s", "x", "sh", "ch")) else "s")
    stem = verb.removesuffix("e")
    return [verb, third, stem + "ed", stem + "ed", stem + "ing"]


def _verb_classes(name: str, regular: str, irregular: str) -> dict[str, str]:
    paradigms = [_conjugate(verb) for verb in regular.split()] + [
        line.split() for line in irregular.split("|")
    ]
    columns = zip(*paradigms, strict=True)
    forms = ("B", "S", "D", "PP", "ING")
    return {f"{name}_{form}": " ".join(words) for form, words in zip(forms, columns, strict=True)}


def _pluralise(noun: str) -> str:
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")


CLASSES = {
    "NOUN_S": " ".join(noun for noun in NOUNS.split() if noun != "people"),
    "NOUN_P": " ".join(_pluralise(noun) for noun in NOUNS.split()),
    "ADJECTIVE": ADJECTIVES,
    "ADVERB": ADVERBS,
    "NAME": NAMES,
    "NUMBER": NUMBERS,
    "YEAR_END": "ten twelve fifteen twenty thirty forty fifty sixty seventy eighty ninety",
    "INTRO": INTROS,
    "LEAD": LEADS,
    "TAIL_PHRASE": "in more detail; for a moment; once again; from the first chapter; in two minutes",
    "DETERMINER_S": "the the the a an this that every each another our my your its their his her one no some",
    "DETERMINER_P": "the the these those all many most some several our your their few both other",
    "PRONOUN_S": "it he she this that everyone nobody something",
    "PRONOUN_P": "we you they i we some many",
    "PRONOUN_O": "it him her them us this that everything nothing",
    "DEGREE": "very quite too so rather really more most",
    "MODAL": "can could may might must should will would cannot",
    "PREPOSITION": PREPOSITIONS,
    "CONJUNCTION": "and but or because so while although if when",
    "SUBORDINATOR": "if when because while although since after before once",
    **_verb_classes("VT", REGULAR_TRANSITIVE, IRREGULAR_TRANSITIVE),
    **_verb_classes("VI", REGULAR_INTRANSITIVE, IRREGULAR_INTRANSITIVE),
    **_verb_classes("VC", REGULAR_CLAUSE, IRREGULAR_CLAUSE),
}

SLOTS = ("NOUN_S", "NOUN_P", "ADJECTIVE", "NAME")

# RARE stands for a rare word of the slide.
TITLES = ["RARE and RARE", "the NOUN of RARE", "introduction to RARE", "RARE", "RARE NOUN", "ADJECTIVE RARE"]
BULLETS = [
    "RARE",
    "RARE NOUN",
    "ADJECTIVE RARE",
    "the NOUN of RARE",
    "RARE and RARE",
    "RARE or RARE",
    "RARE in the ADJECTIVE NOUN",
    "from RARE to RARE",
    "NOUN and NOUN of RARE",
    "ADJECTIVE NOUN",
    "RARE RARE NOUN",
]


def make_grammar() -> Grammar:
    """The grammar of English lecture sentences of 5 to 12 words."""
    return Grammar(RULES, CLASSES, SLOTS, lengths=(5, 12))


def join(words: Sequence[str]) -> str:
    """Join words to a text, with "an" before a vowel letter and "a" elsewhere."""
    corrected = list(words)
    for i, word in enumerate(words[:-1]):
        if word in ("a", "an"):
            corrected[i] = "an" if words[i + 1][0] in "aeiou" else "a"
    return " ".join(corrected)
