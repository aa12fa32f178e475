"""B utterances, F feature frames, M mel bands, R frames stacked into one."""

import pytest
import torch

from funasr_sap.errors import ConfigError
from funasr_sap.models.construction import build_specaug

NO_MASKS = {"apply_time_warp": False, "freq_mask_width_range": [0, 1], "time_mask_width_range": [0, 1]}


def filtered(x, **conf):
    torch.manual_seed(0)
    return build_specaug("FilterAugLFR", NO_MASKS | conf)(x.clone(), torch.tensor([x.shape[1]] * len(x)))


def test_an_utterance_gets_one_curve_in_all_frames_within_the_gain():
    x = torch.zeros(8, 5, 7 * 20)
    curves, lengths = filtered(x, filter_probability=1.0, max_gain=0.5)
    assert lengths.tolist() == [5] * 8
    frames = curves.unflatten(2, (7, 20))
    assert (frames == frames[:, :1, :1]).all()
    curve = frames[:, 0, 0]
    assert 0.1 < curve.abs().max() <= 0.5
    assert curve.diff(dim=1).abs().max() < 1.0 and not torch.equal(curve[0], curve[1])


def test_the_share_of_the_utterances_is_as_asked():
    x = torch.zeros(400, 1, 7 * 20)
    assert not filtered(x, filter_probability=0.0)[0].any()
    share = filtered(x, filter_probability=0.5)[0].flatten(1).any(1).float().mean()
    assert 0.4 < share < 0.6


def test_it_masks_as_funasr_does_and_knows_its_keys():
    x = torch.ones(2, 40, 7 * 20)
    assert (filtered(x, filter_probability=0.0, time_mask_width_range=[5, 9])[0] == 0).any()
    with pytest.raises(ConfigError, match="filter_share"):
        filtered(x, filter_share=1.0)
