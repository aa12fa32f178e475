"""B utterances, T frames, V pieces, N keywords, P keywords weighed, K keywords kept."""

import math

import pytest
import torch

from funasr_sap.context import retrieval
from funasr_sap.context.alignment import IMPOSSIBLE, Alignment
from funasr_sap.context.biasing_list import BiasingList
from funasr_sap.context.calibration import Calibration
from funasr_sap.context.retrieval import POOL, cut, evidence_features, is_short, weigh_lists
from funasr_sap.context.spellings import Spellings, pack
from funasr_sap.errors import ConfigError

BLANK = 0
REWARD = 4.0
# Pieces 1 to 11; a word begins with an odd piece.
WORD_START = torch.arange(12) % 2 == 1
SPOKEN = [(1, 2), (3, 4, 6), (5,)]
PATH = [0, 1, 2, 0, 0, 3, 4, 0, 6, 0, 7, 0, 5, 0]
OTHERS = [(a, b) for a in (7, 9, 11) for b in (2, 8, 10)]
COST = math.log(0.9 / (0.1 / 11))  # of a piece that is not heard


def piece_list(ids):
    """A biasing list whose keywords are given by their pieces."""
    words = [f"keyword {each}" for each in ids]
    return BiasingList.restore(words=words, ids=Spellings.join([pack(each) for each in ids]))


def random_log_probs(seed, frames, batch=1, vocab=12):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(batch, frames, vocab, generator=generator)).log_softmax(-1)


def sharp_log_probs(path, vocab=12, confidence=0.9):
    """(1, T, V): the pieces of ``path`` frame by frame, each with the same confidence."""
    probs = torch.full((1, len(path), vocab), (1 - confidence) / (vocab - 1))
    probs[0, torch.arange(len(path)), torch.tensor(path)] = confidence
    return probs.log()


def full(log_probs):
    return torch.ones(log_probs.shape[:2], dtype=torch.bool)


def shortlist(*lists, log_probs=None, frame_mask=None, top=5, threshold=0.0):
    log_probs = sharp_log_probs(PATH) if log_probs is None else log_probs
    frame_mask = full(log_probs) if frame_mask is None else frame_mask
    calibration, lists = Calibration(), [piece_list(each) for each in lists]
    options = {"pool": max(top, POOL), "reward": calibration.reward, "blank": BLANK}
    evidence = weigh_lists(log_probs, frame_mask, lists, WORD_START, **options)
    return cut(evidence, top, threshold, calibration)


def by_index(found, field):
    """What a field says of each keyword of the first utterance's list."""
    return {index: getattr(found, field)[0, k].tolist() for k, index in enumerate(found.index[0].tolist())}


def test_true_keywords_rank_first():
    log_probs = sharp_log_probs(PATH, confidence=0.9999)
    found = shortlist(OTHERS[:4] + SPOKEN + OTHERS[4:], log_probs=log_probs, threshold=0.9)
    assert set(found.index[0, :3].tolist()) == {4, 5, 6}
    assert found.mask.tolist() == [[True] * 3 + [False] * 2]
    assert (found.confidence >= 0).all() and (found.confidence <= 1).all()
    assert (found.confidence[0, :3].diff() <= 0).all()
    assert found.confidence[0, 2] > found.confidence[0, 3]


def test_a_long_keyword_is_better_evidence_than_a_short_one():
    found = shortlist(SPOKEN)
    assert found.index.tolist() == [[1, 0, 2]]  # three pieces, two, one: all are on the greedy path


def test_confidence_is_the_calibration_of_the_evidence():
    calibration, word = Calibration(), (1, 8)  # its first piece is heard, its second is not
    evidence = torch.tensor(-COST), torch.tensor(2), torch.tensor(0), torch.tensor(0.0), torch.tensor(1), 0.0
    found = shortlist([word])
    expected = calibration.log_odds(*evidence).sigmoid().item()
    assert found.confidence.item() == pytest.approx(expected, rel=1e-4)


def test_the_threshold_is_the_least_confidence():
    confidence = shortlist([(1, 8)]).confidence.item()
    for threshold, kept in ((confidence - 0.01, True), (confidence + 0.01, False)):
        assert shortlist([(1, 8)], threshold=threshold).mask.item() is kept


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "low", True])
def test_a_threshold_is_a_confidence(value):
    with pytest.raises(ConfigError, match="threshold: expected a confidence from 0 to 1"):
        retrieval.check_threshold(value)


def test_top_above_the_list_keeps_all():
    found = shortlist(SPOKEN, top=50)
    assert sorted(found.index[0].tolist()) == [0, 1, 2] and found.mask.all()
    assert found.features.shape == (1, 3, retrieval.Shortlist.NUM_FEATURES)


def test_lists_of_different_lengths_get_no_padding():
    log_probs = sharp_log_probs(PATH).repeat(2, 1, 1)
    found = shortlist(SPOKEN, [(1, 2)], log_probs=log_probs, top=4)
    assert found.mask.tolist() == [[True] * 3, [True, False, False]]
    assert found.features.isfinite().all()
    # The longer list of the other utterance does not make this keyword less probable.
    torch.testing.assert_close(found.confidence[1, :1], shortlist([(1, 2)]).confidence[0])


@pytest.mark.parametrize("garbage", [torch.full((1, 9, 12), float("nan")), sharp_log_probs([2, 4, 6] * 3)])
def test_padded_frames_and_batching_change_no_shortlist(garbage):
    single = shortlist(SPOKEN + OTHERS)
    log_probs = torch.cat([sharp_log_probs(PATH), garbage], 1)
    mask = torch.arange(len(PATH) + 9)[None] < len(PATH)
    batch = shortlist(
        *[SPOKEN + OTHERS] * 2,
        log_probs=torch.cat([log_probs, random_log_probs(5, len(PATH) + 9)]),
        frame_mask=torch.cat([mask, torch.ones_like(mask)]),
    )
    for name in ("index", "mask", "confidence", "features"):
        torch.testing.assert_close(getattr(batch, name)[:1], getattr(single, name))


@pytest.mark.parametrize("lengths", [(40, 40), (3, 40), (0, 40)])
def test_the_index_gives_what_aligning_all_gives(lengths):
    generator = torch.Generator().manual_seed(0)
    words = [tuple(torch.randint(1, 12, (4,), generator=generator).tolist()) for _ in range(40)]
    log_probs = random_log_probs(1, 9, batch=2)
    lists = [piece_list(words[:length]) for length in lengths]

    def weigh(pool):  # lists of no more are aligned as a whole
        return weigh_lists(log_probs, full(log_probs), lists, WORD_START, pool=pool, reward=REWARD)

    everything, found = weigh(40), weigh(10)
    assert found.size.tolist() == everything.size.tolist() == [[length] for length in lengths]
    for b, length in enumerate(lengths):
        worth = (everything.found.score + REWARD * everything.pieces)[b, :length]
        best = dict(zip(everything.index[b].tolist(), worth.tolist(), strict=False))
        expected = sorted(best, key=best.get, reverse=True)[:10]
        valid = found.pieces[b] > 0
        assert sorted(found.index[b][valid].tolist()) == sorted(expected)
        score = (found.found.score + REWARD * found.pieces)[b][valid].tolist()
        assert score == [best[place] for place in found.index[b][valid].tolist()]


def test_all_but_the_best_are_left_out():
    lists = [piece_list(SPOKEN + OTHERS), piece_list(SPOKEN)]
    log_probs = sharp_log_probs(PATH).repeat(2, 1, 1)
    evidence = weigh_lists(log_probs, full(log_probs), lists, WORD_START, pool=POOL, reward=REWARD)
    best = evidence.best([5, 2], REWARD)
    for b, number in enumerate((5, 2)):
        worth = (evidence.found.score + REWARD * evidence.pieces)[b]
        least = worth[evidence.pieces[b] > 0].sort(descending=True).values[number - 1]
        assert (best.pieces[b] > 0).sum() == number
        assert worth[best.pieces[b] > 0].min() == least  # of what is worth the same, any
    assert cut(best, 10, 0.0, Calibration()).mask.sum(1).tolist() == [5, 2]
    for name in ("share", "size", "index"):  # what the others say of them stays
        assert torch.equal(getattr(best, name), getattr(evidence, name))


def test_features_say_what_was_found():
    found = shortlist([*SPOKEN, (1, 8)], top=4)
    features = by_index(found, "features")
    # score / 2, total / 8, margin / 4, pieces / 4, goes on, log odds / 4
    assert features[1][:5] == pytest.approx([0, 0, 8 / 4, 3 / 4, 0])  # nothing overlaps it
    for index, confidence in by_index(found, "confidence").items():
        assert features[index][5] == pytest.approx(math.log(confidence / (1 - confidence)) / 4, rel=1e-3)
    assert features[0][:4] == pytest.approx([0, 0, COST / 2 / 4, 2 / 4], rel=1e-4)
    assert features[3][:4] == pytest.approx([-COST / 2 / 2, -COST / 8, -COST / 2 / 4, 2 / 4], rel=1e-4)


def test_goes_on_where_the_heard_word_is_longer():
    # "3 4" is heard inside "3 4 6"; "1 2" is followed by a new word; "5" by nothing.
    features = by_index(shortlist([(3, 4), (1, 2), (5,), (3, 4, 6)]), "features")
    assert {index: row[4] for index, row in features.items()} == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}


def test_rivals_share_their_stretch_of_speech():
    evidence = weigh_lists(
        sharp_log_probs(PATH),
        torch.ones(1, len(PATH), dtype=torch.bool),
        [piece_list([(1, 2), (1, 2), (5,), (1, 8)])],
        WORD_START,
        pool=4,
        reward=REWARD,
        blank=BLANK,
    )
    share = dict(zip(evidence.index[0].tolist(), evidence.share[0].tolist(), strict=True))
    total = 2 + math.exp(-COST)  # two that are heard, and one that misses a piece
    assert share[0] == share[1] == pytest.approx(-math.log(total), abs=1e-4)
    assert share[3] == pytest.approx(-COST - math.log(total), abs=1e-4)
    assert share[2] == pytest.approx(0, abs=1e-6)  # said elsewhere
    assert evidence.size.tolist() == [[4]]


def test_features_of_worst_evidence_are_bounded():
    one = torch.ones(1, 1, dtype=torch.long)
    found = Alignment(torch.full((1, 1), IMPOSSIBLE), 0 * one, 0 * one[..., None])
    features = evidence_features(found, one, one == 0, torch.full((1, 1), IMPOSSIBLE))
    assert features.tolist() == [[[-4.0, -3.0, 0.0, 0.25, 0.0, -2.0]]]


@pytest.mark.parametrize(
    ("word", "short"),
    [
        *(("V", True), ("IT", True), ("4K", True), ("C++", True), ("&", True), ("я", True), ("a b", True)),
        *(("the", False), ("AT&T", False), ("好", False), ("か", False), ("강", False), ("ไป", False)),
    ],
)
def test_one_or_two_letters_of_an_alphabet_are_short(word, short):
    assert is_short(word) is short


def weigh_words(words, ids, log_probs, pool=POOL):
    offered = BiasingList.restore(words=words, ids=Spellings.join([pack(each) for each in ids]))
    return weigh_lists(log_probs, full(log_probs), [offered], WORD_START, pool=pool, reward=REWARD)


def test_a_short_keyword_needs_a_word_of_its_own():
    log_probs = sharp_log_probs([0, 3, 4, 0, 5, 0])  # a word of two pieces, and one of one
    words, ids = ["V", "S", "longer"], [(3,), (5,), (3,)]
    odds = weigh_words(words, ids, log_probs).log_odds(Calibration(goes_on=0.0, share=0.0))[0]
    assert odds[1] == odds[2]  # said, short or not
    assert odds[0] == odds[2] - retrieval.GOES_ON


@pytest.mark.parametrize("pool", [POOL, 2])
def test_what_has_no_piece_is_never_found(pool):
    words, ids = ["unheard", "longer", "silent", "other"], [(), (1, 2), (), (5,)]
    evidence = weigh_words(words, ids, sharp_log_probs(PATH), pool)
    found = cut(evidence, 4, 0.0, Calibration())
    kept = dict(zip(found.index[0].tolist(), found.mask[0].tolist(), strict=True))
    assert {place for place, mask in kept.items() if mask} == {1, 3}
    assert (found.confidence[~found.mask] == 0).all()
    assert evidence.size.item() == 4


@pytest.mark.parametrize("pool", [POOL, 1])
def test_a_list_without_any_piece_is_no_error(pool):
    evidence = weigh_words(["unheard", "silent"], [(), ()], sharp_log_probs(PATH), pool)
    assert not cut(evidence, 4, 0.0, Calibration()).mask.any()
