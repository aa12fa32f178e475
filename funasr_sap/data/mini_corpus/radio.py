"""English of rescue radio: a domain with common words of its own, to adapt a lecture recogniser to."""

from funasr_sap.data.mini_corpus.english import join
from funasr_sap.data.mini_corpus.grammar import Grammar

__all__ = ["BULLETS", "TITLES", "join", "make_grammar"]

RULES = {
    "SENTENCE": [
        "5 CALL REPORT",
        "4 CALL ORDER",
        "3 REPORT",
        "2 ORDER",
        "2 REPORT CLOSING",
        "2 ORDER CLOSING",
        "2 CALL REQUEST",
        "1 ORDER until FURTHER",
    ],
    "CALL": ["3 UNIT DIGIT", "2 PLACE CENTRAL", "1 ACKNOWLEDGE UNIT DIGIT"],
    "REPORT": [
        "3 SUBJECT STATE PREPOSITION PLACE",
        "2 NUMBER CASUALTY INJURY PREPOSITION PLACE",
        "2 ADJECTIVE HAZARD PREPOSITION the SITE",
        "2 we have NUMBER ADJECTIVE CASUALTY",
        "1 the HAZARD is spreading toward PLACE",
        "1 SITE evacuated no more CASUALTY",
        "1 SUBJECT STATE in NUMBER minutes",
    ],
    "ORDER": [
        "3 VERB EQUIPMENT PREPOSITION the SITE",
        "2 VERB to PLACE immediately",
        "2 VERB the CASUALTY from PLACE",
        "1 VERB NUMBER EQUIPMENT and EQUIPMENT",
        "1 do not VERB the SITE without EQUIPMENT",
    ],
    "REQUEST": [
        "2 requesting EQUIPMENT at PLACE",
        "1 requesting permission to VERB the SITE",
        "1 confirm NUMBER CASUALTY at PLACE",
        "1 what is your status at PLACE",
    ],
    "SUBJECT": ["2 the EQUIPMENT", "2 our UNIT", "1 ADJECTIVE CASUALTY", "1 the HAZARD"],
}

# No word of these may be rare in the lectures' dev or test set.
CLASSES = {
    "UNIT": "rescue ambulance patrol helicopter squad lifeboat paramedic ladder brigade crew",
    "DIGIT": "zero one two tree four fife six seven eight niner",
    "CENTRAL": "operations; control; headquarters; base; command post; coastguard; fire station",
    "ACKNOWLEDGE": "roger; copy; affirmative; negative; mayday; say again; stand by; wilco; urgent message",
    "STATE": """
        en route; arriving; delayed; deployed; grounded; trapped; stranded; burning; contained; standing by;
        withdrawing; out of service; drifting; sinking; unresponsive; stabilised
    """,
    "PLACE": """
        harbour; dockyard; motorway; junction; overpass; reservoir; warehouse; refinery; airport; heliport;
        lighthouse; coal mine; sewage plant; substation; tunnel entrance; car ferry; shipyard; breakwater
    """,
    "SITE": """
        balcony basement attic cellar corridor elevator scaffold pipeline cockpit wreckage perimeter
        hangar platform cabin canyon subway silo crane
    """,
    "HAZARD": """
        smoke; flames; explosion; gas leak; chemical spill; avalanche; landslide; flooding; debris;
        ammonia; radiation; snowstorm; oil slick; rockfall; collapse
    """,
    "CASUALTY": """
        victim; casualties; survivor; survivors; passengers; patient; toddler; pensioner; driver; pilot;
        climbers; sailors; hostages; pedestrians; cyclist; divers
    """,
    "INJURY": """
        unconscious; bleeding; with burns; with a fracture; with hypothermia; breathing; with chest pain;
        in shock; with concussion; without a pulse
    """,
    "EQUIPMENT": """
        stretcher; oxygen; hydrant; hose; winch; harness; ventilator; foam; floodlights; generator; pump;
        defibrillator; breathing apparatus; tow truck; drone; sandbags; bandages; blankets; bulldozer
    """,
    "VERB": """
        evacuate; secure; launch; proceed; withdraw; ventilate; isolate; extinguish; transfer; cordon off;
        lift; release; cancel; escort; search; lower; recover
    """,
    "ADJECTIVE": """
        toxic severe dense critical minor suspected northern southern eastern western elderly missing
        upper lower heavy unstable confirmed
    """,
    "NUMBER": "two; three; five; seven; a dozen; fifteen; several; at least four; up to ten; multiple",
    "PREPOSITION": "at near beside beneath behind inside outside above towards",
    "FURTHER": "further notice; backup arrives; relieved; nightfall; daybreak",
    "CLOSING": "over; out; please acknowledge; do you read; how copy; over and out; stand by",
    "NOUN": "incident sector channel alert briefing callsign grid unit emergency convoy",
}

SLOTS = ("PLACE", "SITE", "CASUALTY", "EQUIPMENT", "ADJECTIVE")

TITLES = ["RARE NOUN", "NOUN RARE", "RARE and RARE", "RARE"]
BULLETS = [
    "RARE",
    "RARE NOUN",
    "ADJECTIVE RARE",
    "EQUIPMENT for RARE",
    "from RARE to RARE",
    "RARE and RARE",
    "HAZARD at RARE",
]


def make_grammar() -> Grammar:
    """The grammar of radio messages of 5 to 12 words."""
    return Grammar(RULES, CLASSES, SLOTS, lengths=(5, 12))
