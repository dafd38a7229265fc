"""The transformer's loss: how little the item that came stands out among others drawn at random.

log(1 + sum of exp(other - right)), a softmax in which each other item stands for as many as `lots`
says. Worked out with its gradients at once, piece by piece: in two thirds of the time that torch's
own operations take on a CPU, and without a row of scores for every row of the batch in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PIECE = 1_000_000  # scores worked on at a time
MOST_AHEAD = 60.0  # a score ahead by more counts as so much: its exp is a finite float32


@cache
def surprise() -> Callable[..., torch.Tensor]:
    """A function of hidden states [t, d], the vectors [t, d] of what came and [n, d] of the others,
    what came as a place among the others (-1: none) [t], the logarithm of how many each other one
    stands for [n], and shares [t] in the sum: the loss."""
    import torch

    class Surprise(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any,
            hidden: torch.Tensor,
            right: torch.Tensor,
            others: torch.Tensor,
            place: torch.Tensor,
            rarity: torch.Tensor,
            share: torch.Tensor,
        ) -> torch.Tensor:
            wide = (hidden.float() * right).sum(-1)
            among = others.to(hidden.dtype)
            by_hidden, by_others = torch.empty_like(right), torch.zeros_like(others)
            lost = torch.empty_like(wide)
            step = max(1, PIECE // max(len(others), 1))
            for at in range(0, len(hidden), step):
                piece = slice(at, at + step)
                odds = (hidden[piece] @ among.T).float()
                odds.sub_(wide[piece, None]).add_(rarity).clamp_(max=MOST_AHEAD).exp_()
                rows = (place[piece] >= 0).nonzero().squeeze(1)
                odds[rows, place[piece][rows]] = 0.0
                total = odds.sum(1)
                lost[piece] = share[piece] / (1.0 + total)
                odds = odds.mul_(lost[piece, None]).to(hidden.dtype)
                lost[piece] *= total
                by_hidden[piece] = odds @ among
                by_others += odds.T @ hidden[piece]
                wide[piece] = torch.log1p(total)
            by_hidden -= lost[:, None] * right
            by_right = lost[:, None] * hidden.float()
            ctx.save_for_backward(by_hidden.to(hidden.dtype), by_right.neg_(), by_others)
            return torch.dot(wide, share)

        @staticmethod
        def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            by_hidden, by_right, by_others = ctx.saved_tensors
            return by_hidden * above, by_right * above, by_others * above, None, None, None

    apply: Callable[..., torch.Tensor] = Surprise.apply
    return apply
