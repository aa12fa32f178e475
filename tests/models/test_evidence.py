import torch

from funasr_sap.context.retrieval import Shortlist
from funasr_sap.models.evidence import EvidenceEmbedding


def test_starts_at_zero_and_learns():
    torch.manual_seed(0)
    module = EvidenceEmbedding(Shortlist.NUM_FEATURES, 16)
    features = torch.randn(2, 3, Shortlist.NUM_FEATURES)
    assert module(features).shape == (2, 3, 16) and not module(features).any()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (module(features) - 1).square().mean().backward()
        optimizer.step()
    assert module(features).abs().amax(-1).min() > 0
    # The first step opens the last layer, the second reaches the hidden one.
    assert module.hidden.weight.grad.abs().max() > 0


def test_each_keyword_has_its_own_vector():
    torch.manual_seed(0)
    module = EvidenceEmbedding(5, 8)
    torch.nn.init.normal_(module.output.weight)
    features = torch.randn(1, 4, 5)
    vectors = module(features)
    changed = features.clone()
    changed[0, 2] += 1
    difference = (module(changed) - vectors).abs().amax(-1)[0] > 1e-4
    assert difference.tolist() == [False, False, True, False]
