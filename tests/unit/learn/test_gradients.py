"""The transformer's loss and gradients: those of torch's own operations, whoever works them out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from tailorbird.learn.models import network  # noqa: E402
from tailorbird.learn.models.gradients import Gradients  # noqa: E402
from tailorbird.learn.models.lots import Drawn, Lots, chances  # noqa: E402
from tailorbird.learn.models.surprise import surprise  # noqa: E402
from tailorbird.learn.models.windows import Batch  # noqa: E402


def by_torch(hidden, item, target, drawn: Drawn, share):
    """The same loss in torch's operations: the right one first, then the others without it."""
    right = (hidden * item[target]).sum(-1, keepdim=True)
    others = hidden @ item[drawn.items].T + drawn.rarity
    others = torch.where(drawn.items[None] == target[:, None], -1e9, others)
    first = torch.zeros_like(target)
    every = torch.cat([right, others], dim=1)
    losses = torch.nn.functional.cross_entropy(every, first, reduction="none")
    return (losses * share).sum()


@pytest.mark.parametrize("dtype, within", [(torch.float32, 1e-4), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("rows, others", [(1, 1), (7, 30), (40, 50), (3_000, 400)])
def test_it_is_the_cross_entropy_and_so_are_its_gradients(rows: int, others: int, dtype, within):
    torch.manual_seed(rows)
    items = max(others, 3)
    hidden, item = torch.randn(rows, 16), torch.randn(items, 16)
    target, share = torch.randint(0, items, (rows,)), torch.rand(rows)
    drawn = Drawn(torch.randperm(items)[:others], torch.rand(others))
    place = torch.full((items,), -1)
    place[drawn.items] = torch.arange(others)
    found = []
    for ours in (True, False):
        h, e = hidden.clone().requires_grad_(), item.clone().requires_grad_()
        if ours:
            vectors = e[target], e[drawn.items], place[target], drawn.rarity
            loss = surprise()(h.to(dtype), *vectors, share)
        else:
            loss = by_torch(h, e, target, drawn, share)
        (3.0 * loss).backward()
        found.append((loss.detach(), h.grad, e.grad))
    for mine, theirs in zip(*found, strict=True):
        assert float((mine - theirs).norm()) <= within * max(float(theirs.norm()), 1e-3)


def test_a_score_far_ahead_is_no_infinity():
    hidden = torch.full((2, 4), 100.0, requires_grad=True)
    right, others = torch.full((2, 4), -100.0), torch.full((3, 4), 100.0)
    nobody, share = torch.full((2,), -1), torch.full((2,), 0.5)
    loss = surprise()(hidden, right, others, nobody, torch.zeros(3), share)
    loss.backward()
    assert torch.isfinite(loss) and bool(torch.isfinite(hidden.grad).all())


@pytest.mark.parametrize("windows", [1, 2, 31])
def test_threads_share_a_batch_and_add_up_to_its_gradient(windows: int):
    random = np.random.default_rng(windows)
    code = random.integers(0, 50, (windows, 60))
    target = np.where(random.random(code.shape) < 0.1, -1, random.integers(0, 50, code.shape))
    weight = random.random(code.shape).astype(np.float32)
    batch = Batch(code, np.zeros_like(code), target, weight)
    drawn = Drawn(torch.arange(50), torch.zeros(50))
    torch.manual_seed(1)
    net = network.network(50, 60, 2)
    before = [one.detach().clone() for one in net.parameters()]
    found = []
    for threads in (1, 2, 3):
        shared = Gradients(torch, net, lambda: network.network(50, 60, 2), threads, seed=0)
        shared.narrow = False
        found.append(shared.of(batch, drawn, 0.0))
        assert shared.loss(batch, drawn) == pytest.approx(found[-1][0], rel=1e-5)
    for loss, gradients in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        for mine, theirs in zip(gradients, found[0][1], strict=True):
            assert torch.allclose(mine, theirs, atol=1e-6)
    after = list(net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_items_are_drawn_by_their_uses_and_stand_for_as_many_as_that_takes():
    uses = np.random.default_rng(0).zipf(1.3, 2_000).clip(0, 100_000)
    each = chances(uses, 300)
    assert each.sum() == pytest.approx(300, rel=1e-3)
    assert each.max() <= 1.0 and bool((np.diff(each[np.argsort(uses)]) >= 0).all())
    lots, value = Lots(torch, uses, 300, 0, "cpu"), torch.linspace(0.0, 1.0, 2_000)
    sums = []
    for _ in range(400):
        drawn = lots.draw()
        sums.append(float((value[drawn.items] * drawn.rarity.exp()).sum()))
    assert np.mean(sums) == pytest.approx(float(value.sum()), rel=0.03)


def test_of_few_items_all_are_told_apart():
    drawn = Lots(torch, np.array([5, 0, 9]), 768, 0, "cpu").draw()
    assert drawn.items.tolist() == [0, 1, 2] and drawn.rarity.tolist() == [0.0, 0.0, 0.0]
