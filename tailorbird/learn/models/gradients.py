"""The gradient of one batch: its windows are shared out to threads, each with its view of the net.

Threads of their own do a third more than one thread whose every operation is split between cores,
and a busy machine costs them less. The same seed and threads give the same sums.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tailorbird.learn.models.lots import Drawn
from tailorbird.learn.models.network import Dropout, halves_pay
from tailorbird.learn.models.surprise import surprise
from tailorbird.learn.models.windows import Batch

if TYPE_CHECKING:
    import torch

SMALLEST_SHARE = 400  # tokens of a thread: below, what is not arithmetic costs more than is gained


class Gradients:
    """Losses and gradients of batches; each thread has one of `build` with the same weights."""

    def __init__(self, torch: Any, net: Any, build: Callable[[], Any], threads: int, seed: int):
        self.torch, self.net, self.device = torch, net, next(net.parameters()).device
        self.narrow = halves_pay(self.device.type)
        alone = self.device.type != "cpu" or threads == 1
        self.nets = [net, *(_view(build(), net) for _ in range(0 if alone else threads - 1))]
        self.drops = [Dropout(seed * 1_009 + n, self.device) for n in range(len(self.nets))]
        self.pool = ThreadPoolExecutor(
            max(1, len(self.nets) - 1), initializer=torch.set_num_threads, initargs=(1,)
        )
        if not alone:
            torch.set_num_threads(1)
        self.parameters = list(net.parameters())

    def of(self, batch: Batch, others: Drawn, dropped: float) -> tuple[float, list[torch.Tensor]]:
        """The batch's loss, and the gradient of each parameter."""
        parts = batch.parts(min(len(self.nets), max(1, batch.tokens // SMALLEST_SHARE)))
        total = float(batch.weight.sum())
        asked = [(n, part, others, total, dropped) for n, part in enumerate(parts)]
        elsewhere = [self.pool.submit(self._share, *one) for one in asked[1:]]
        loss, found = self._share(*asked[0])
        for one in elsewhere:
            more, theirs = one.result()
            loss += more
            self.torch._foreach_add_(found, theirs)
        return loss, found

    def loss(self, batch: Batch, others: Drawn) -> float:
        """Without learning anything."""
        with self.torch.no_grad():
            return float(self._loss(self.net, batch, others, float(batch.weight.sum()), None))

    def _share(
        self, n: int, part: Batch, others: Drawn, total: float, dropped: float
    ) -> tuple[float, list[torch.Tensor]]:
        net, drop = self.nets[n], self.drops[n]
        drop.share = dropped
        loss = self._loss(net, part, others, total, drop)
        found = self.torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        return float(loss.detach()), list(found)

    def _loss(
        self, net: Any, batch: Batch, others: Drawn, total: float, drop: Dropout | None
    ) -> torch.Tensor:
        torch = self.torch
        code, kind, target, weight = batch.tensors(torch, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
            hidden = net(code, kind, drop)
        known = target >= 0
        hidden, target, weight = hidden[known], target[known], weight[known]
        place = torch.full((net.items,), -1, device=self.device)
        place[others.items] = torch.arange(len(others.items), device=self.device)
        return surprise()(
            hidden.bfloat16() if self.narrow else hidden,
            torch.nn.functional.embedding(target, net.item),
            torch.nn.functional.embedding(others.items, net.item),
            place[target],
            others.rarity,
            weight / max(total, 1e-6),
        )


def _view(fresh: Any, net: Any) -> Any:
    """A network of the other's very weights, for another thread."""
    for mine, theirs in zip(fresh.modules(), net.modules(), strict=True):
        for name, one in theirs.named_parameters(recurse=False):
            setattr(mine, name, one)
    return fresh
