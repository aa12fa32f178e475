"""B utterances, T frames, Ta audio embeddings, E encoder width, D LLM width, V vocabulary."""

import pytest
import torch

from funasr_sap.models.adaptor import CTCAdaptor

E, D, V = 6, 4, 5


@pytest.fixture
def adaptor():
    torch.manual_seed(0)
    return CTCAdaptor(E, D, hidden_dim=8, blank_threshold=0.9).eval()


def make_batch(blank_frames=((1, 4), (0,)), lengths=(6, 3)):
    """Frames with given blanks (posterior 0.95); the others hold 0.5 blank and random pieces."""
    torch.manual_seed(1)
    batch, frames = len(lengths), max(lengths)
    pieces = torch.rand(batch, frames, V - 1).softmax(-1)
    blank = torch.full((batch, frames, 1), 0.5)
    for row, places in enumerate(blank_frames):
        blank[row, list(places)] = 0.95
    posterior = torch.cat([blank, (1 - blank) * pieces], -1)
    mask = torch.arange(frames) < torch.tensor(lengths)[:, None]
    return torch.randn(batch, frames, E), mask, posterior.log(), torch.randn(V, D)


def test_keeps_frames_that_are_not_blank_in_order(adaptor):
    encoder_out, frame_mask, log_probs, table = make_batch()
    audio, mask = adaptor(encoder_out, frame_mask, log_probs, table)
    assert mask.tolist() == [[True] * 4, [True] * 2 + [False] * 2]
    for row, places in enumerate(([0, 2, 3, 5], [1, 2])):
        heard = log_probs[row, places].exp()[:, 1:]
        heard = heard / heard.sum(1, keepdim=True)
        expected = adaptor.projection(encoder_out[row, places]) + heard @ table[1:]
        torch.testing.assert_close(audio[row][mask[row]], expected)


def test_the_blanks_embedding_is_never_read(adaptor):
    encoder_out, frame_mask, log_probs, table = make_batch()
    audio, _ = adaptor(encoder_out, frame_mask, log_probs, table)
    table[0] = 1e6
    assert torch.equal(audio, adaptor(encoder_out, frame_mask, log_probs, table)[0])


def test_another_blank_id(adaptor):
    encoder_out, frame_mask, log_probs, table = make_batch()
    order = [1, 2, 0, 3, 4]  # the blank becomes id 2
    expected, mask = adaptor(encoder_out, frame_mask, log_probs, table)
    audio, again = adaptor(encoder_out, frame_mask, log_probs[..., order], table[order], blank=2)
    torch.testing.assert_close(audio, expected)
    assert torch.equal(mask, again)


def test_a_batch_and_padding_change_nothing(adaptor):
    encoder_out, frame_mask, log_probs, table = make_batch()
    garbage = ~frame_mask[..., None]
    audio, mask = adaptor(
        encoder_out.masked_fill(garbage, 1e4), frame_mask, log_probs.masked_fill(garbage, -20.0), table
    )
    for row, frames in enumerate(frame_mask.sum(1).tolist()):
        one = slice(row, row + 1)
        alone, alone_mask = adaptor(
            encoder_out[one, :frames], frame_mask[one, :frames], log_probs[one, :frames], table
        )
        assert alone_mask.all()
        torch.testing.assert_close(audio[row][mask[row]], alone[0])


def test_a_silent_batch_has_no_audio(adaptor):
    encoder_out, frame_mask, log_probs, table = make_batch(blank_frames=(range(6), range(3)))
    audio, mask = adaptor(encoder_out, frame_mask, log_probs, table)
    assert audio.shape == (2, 0, D) and mask.shape == (2, 0)


def test_gradient_reaches_encoder_posteriors_and_embeddings(adaptor):
    encoder_out, frame_mask, log_probs, table = (
        x.requires_grad_(x.is_floating_point()) for x in make_batch()
    )
    audio, mask = adaptor(encoder_out, frame_mask, log_probs, table)
    audio[mask].square().sum().backward()
    kept = torch.zeros(2, 6, dtype=torch.bool)
    kept[0, [0, 2, 3, 5]] = kept[1, [1, 2]] = True
    for x in (encoder_out, log_probs):
        assert x.grad.isfinite().all() and (x.grad.abs().amax(-1) > 0).equal(kept)
    assert (table.grad.abs().amax(-1) > 0).tolist() == [False, True, True, True, True]
