"""B utterances, Ta audio frames, Tc context tokens, D width, H heads, W window."""

import math
import subprocess
import sys

import pytest
import torch

from funasr_sap.models import pooling
from funasr_sap.models.pooling import SpeechDrivenPooling

D, H = 12, 3


def make_batch(seed=0, batch=3, frames=7, tokens=11, ragged=True):
    """Random audio and context, padded in all rows but the first."""
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(batch, frames, D, generator=generator)
    context = torch.randn(batch, tokens, D, generator=generator)
    audio_mask = torch.ones(batch, frames, dtype=torch.bool)
    context_mask = torch.ones(batch, tokens, dtype=torch.bool)
    for row in range(1, batch if ragged else 0):
        audio_mask[row, frames - 2 * row :] = False
        context_mask[row, tokens - 3 * row :] = False
    return audio, audio_mask, context, context_mask


def naive(audio, audio_mask, context, context_mask, window):
    """The equation of the class, one number at a time."""
    batch, tokens, _ = context.shape
    width = D // H
    pooled = torch.zeros(batch, math.ceil(tokens / window), D)
    for b in range(batch):
        frames = [i for i in range(audio.shape[1]) if audio_mask[b, i]]
        real = [j for j in range(tokens) if context_mask[b, j]]
        for h in range(H):
            part = slice(h * width, (h + 1) * width)
            s = dict.fromkeys(real, 0.0)
            for i in frames:
                logits = {j: float(audio[b, i, part] @ context[b, j, part]) / math.sqrt(width) for j in real}
                total = sum(math.exp(value) for value in logits.values())
                for j in real:
                    s[j] += math.exp(logits[j]) / total / len(frames)
            for place in range(pooled.shape[1]):
                inside = [j for j in real if j // window == place]
                for j in inside:
                    pooled[b, place, part] += s[j] / sum(s[k] for k in inside) * context[b, j, part]
    return pooled


@pytest.mark.parametrize("window", [2, 3, 4, 16])
def test_equals_the_equation(window):
    batch = make_batch()
    pooled, mask = SpeechDrivenPooling(D, H, window)(*batch)
    torch.testing.assert_close(pooled, naive(*batch, window))
    assert mask.sum(1).tolist() == [math.ceil(int(n) / window) for n in batch[3].sum(1)]


def test_changes_when_the_speech_changes():
    audio, *rest = make_batch(tokens=10, ragged=False)
    other = make_batch(seed=1, tokens=10, ragged=False)[0]
    module = SpeechDrivenPooling(D, H, window=2)
    change = (module(audio, *rest)[0] - module(other, *rest)[0]).abs().amax(-1)
    assert change.min() > 1e-3
    plain = SpeechDrivenPooling(D, H, window=2, mode="mean")
    assert torch.equal(plain(audio, *rest)[0], plain(other, *rest)[0])


def test_leans_to_the_token_that_the_speech_holds():
    context = torch.zeros(1, 4, 4)
    context[0, :, 0], context[0, 1, 2] = 1.0, 6.0  # the second token alone has the third feature
    audio = torch.tensor([[[0.0, 0.0, 6.0, 0.0]]])
    weight = SpeechDrivenPooling(4, 1, window=2).window_weights(
        audio, torch.ones(1, 1, dtype=torch.bool), context, torch.ones(1, 4, dtype=torch.bool)
    )
    assert weight[0, 0, 1] > 0.99 and weight[0, 0, 2].item() == pytest.approx(0.5)


@pytest.mark.parametrize("garbage", [1e4, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("mode", ["speech", "mean"])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_padding_changes_nothing(garbage, mode, window):
    audio, audio_mask, context, context_mask = make_batch()
    module = SpeechDrivenPooling(D, H, window, mode)
    pooled, mask = module(audio, audio_mask, context, context_mask)
    audio = audio.masked_fill(~audio_mask[..., None], garbage)
    context = context.masked_fill(~context_mask[..., None], garbage)
    again, again_mask = module(audio, audio_mask, context, context_mask)
    assert torch.equal(pooled, again) and torch.equal(mask, again_mask)
    assert not pooled[~mask].any()


def test_more_padding_changes_nothing():
    audio, audio_mask, context, context_mask = make_batch()
    module = SpeechDrivenPooling(D, H, window=3)
    pooled, mask = module(audio, audio_mask, context, context_mask)
    pad = torch.nn.functional.pad
    longer, longer_mask = module(
        pad(audio, (0, 0, 0, 5), value=9.0),
        pad(audio_mask, (0, 5)),
        pad(context, (0, 0, 0, 4), value=9.0),
        pad(context_mask, (0, 4)),
    )
    torch.testing.assert_close(longer[:, : pooled.shape[1]], pooled)
    assert torch.equal(longer_mask[:, : mask.shape[1]], mask) and not longer_mask[:, mask.shape[1] :].any()


@pytest.mark.parametrize("mode", ["speech", "mean"])
def test_a_batch_gives_what_its_utterances_give(mode):
    audio, audio_mask, context, context_mask = make_batch()
    module = SpeechDrivenPooling(D, H, 2, mode)
    pooled, mask = module(audio, audio_mask, context, context_mask)
    for b in range(len(audio)):
        frames, tokens = int(audio_mask[b].sum()), int(context_mask[b].sum())
        alone, alone_mask = module(
            audio[b : b + 1, :frames],
            audio_mask[b : b + 1, :frames],
            context[b : b + 1, :tokens],
            context_mask[b : b + 1, :tokens],
        )
        assert alone_mask.all() and alone_mask.shape[1] == mask[b].sum()
        torch.testing.assert_close(pooled[b][mask[b]], alone[0])


@pytest.mark.parametrize("mode", ["speech", "mean"])
def test_window_1_is_the_identity(mode):
    audio, audio_mask, context, context_mask = make_batch()
    pooled, mask = SpeechDrivenPooling(D, H, 1, mode)(audio, audio_mask, context, context_mask)
    assert torch.equal(mask, context_mask)
    assert torch.equal(pooled[mask], context[context_mask])


@pytest.mark.parametrize("window", [1, 2, 4])
def test_weights_of_a_window_sum_to_1(window):
    batch = make_batch(tokens=8)
    weight = SpeechDrivenPooling(D, H, window).window_weights(*batch)
    assert not weight.transpose(1, 2)[~batch[3]].any()
    total = weight.unflatten(2, (-1, window)).sum(-1)
    real = batch[3].unflatten(1, (-1, window)).any(-1)[:, None].expand_as(total)
    torch.testing.assert_close(total, real.float())


def test_mode_mean_is_the_plain_mean_of_valid_tokens():
    audio, audio_mask, context, context_mask = make_batch(tokens=11)
    pooled, mask = SpeechDrivenPooling(D, H, 4, "mean")(audio, audio_mask, context, context_mask)
    for b in range(len(context)):
        valid = context[b][context_mask[b]]
        for place, window in enumerate(valid.split(4)):
            torch.testing.assert_close(pooled[b, place], window.mean(0))
        assert mask[b].sum() == math.ceil(len(valid) / 4)


def test_the_last_window_may_be_ragged():
    audio, audio_mask, context, context_mask = make_batch(tokens=10, ragged=False)
    module = SpeechDrivenPooling(D, H, window=4)
    pooled, mask = module(audio, audio_mask, context, context_mask)
    assert pooled.shape == (3, 3, D) and mask.all()
    weight = module.window_weights(audio, audio_mask, context, context_mask)[..., 8:]
    torch.testing.assert_close(weight.sum(-1), torch.ones(3, H))


@pytest.mark.parametrize("missing", ["frames", "tokens", "both"])
def test_a_row_without_frames_or_tokens_stays_finite(missing):
    audio, audio_mask, context, context_mask = make_batch()
    if missing != "tokens":
        audio_mask[1] = False
    if missing != "frames":
        context_mask[1] = False
    audio.requires_grad_(), context.requires_grad_()
    pooled, mask = SpeechDrivenPooling(D, H, 2)(audio, audio_mask, context, context_mask)
    pooled.sum().backward()
    assert all(x.isfinite().all() for x in (pooled, audio.grad, context.grad))
    if missing == "frames":  # a plain mean, since no speech decides
        torch.testing.assert_close(pooled[1, 0], context[1, :2].mean(0))
    else:
        assert not mask[1].any() and not pooled[1].any()


@pytest.mark.parametrize(("frames", "tokens"), [(0, 6), (5, 0), (0, 0)])
def test_empty_audio_and_empty_context(frames, tokens):
    batch = make_batch(frames=frames, tokens=tokens, ragged=False)
    module = SpeechDrivenPooling(D, H, 2)
    pooled, mask = module(*batch)
    assert pooled.shape == (3, tokens // 2, D) and pooled.isfinite().all() and mask.all()
    assert module.attention(*batch).shape == (3, H, tokens)


@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_of_frames_equal_one(chunk, monkeypatch):
    def run():
        audio, audio_mask, context, context_mask = make_batch()
        audio.requires_grad_(), context.requires_grad_()
        pooled, _ = SpeechDrivenPooling(D, H, 2)(audio, audio_mask, context, context_mask)
        pooled.square().sum().backward()
        return pooled.detach(), audio.grad, context.grad

    whole = run()
    monkeypatch.setattr(pooling, "FRAMES_PER_CHUNK", chunk)
    torch.testing.assert_close(run(), whole)


@pytest.mark.parametrize(("chunk", "kept"), [(64, True), (4, False)])
def test_chunks_keep_no_attention_for_the_backward_pass(chunk, kept, monkeypatch):
    monkeypatch.setattr(pooling, "FRAMES_PER_CHUNK", chunk)
    audio, *rest = make_batch(frames=64, ragged=False)
    audio.requires_grad_()
    sizes = {}

    def remember(tensor):
        sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        SpeechDrivenPooling(D, H, 2)(audio, *rest)
    assert (sum(sizes.values()) > 3 * H * 64 * 11) is kept  # B * H * Ta * Tc


def test_bf16_is_close():
    audio, audio_mask, context, context_mask = make_batch()
    module = SpeechDrivenPooling(D, H, 2)
    pooled, _ = module(audio, audio_mask, context, context_mask)
    low, _ = module(audio.bfloat16(), audio_mask, context.bfloat16(), context_mask)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), pooled, atol=0.05, rtol=0.05)


def test_gradient_reaches_audio_and_context():
    audio, audio_mask, context, context_mask = make_batch()
    audio.requires_grad_(), context.requires_grad_()
    SpeechDrivenPooling(D, H, 2)(audio, audio_mask, context, context_mask)[0].square().sum().backward()
    assert (audio.grad.abs().amax(-1) > 0).equal(audio_mask)
    assert (context.grad.abs().amax(-1) > 0).equal(context_mask)


def test_large_logits_stay_finite():
    audio, audio_mask, context, context_mask = make_batch()
    module = SpeechDrivenPooling(D, H, 2)
    pooled, mask = module(audio * 300, audio_mask, context * 300, context_mask)
    assert pooled.isfinite().all() and pooled[mask].abs().amax(-1).min() > 0


def test_has_no_weights():
    assert not SpeechDrivenPooling(D, H).state_dict()


def test_needs_no_funasr():
    code = "import sys, funasr_sap.models.pooling; sys.exit('funasr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 10, "num_heads": 4}, "multiple of num_heads, got 10 and 4"),
        ({"dim": 8, "window": 0}, "at least 1 context token, got 0"),
        ({"dim": 8, "mode": "max"}, '"speech" or "mean", got \'max\''),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpeechDrivenPooling(**arguments)
