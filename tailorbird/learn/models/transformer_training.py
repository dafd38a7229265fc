"""Fits the transformer with torch (extra `[torch]`), on CPU or GPU, within a budget of seconds.

Sampled softmax with negatives shared by the batch, random windows over whole histories, item
vectors that start from an SVD of who follows whom, averaged weights; the best by held-back loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.learn.models import checkpoints, windows
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.linear import covered
from tailorbird.learn.models.network import DIMENSION, HEADS, halves_pay, network, start_vectors
from tailorbird.learn.models.transformer import Transformer
from tailorbird.learn.models.windows import Batch, Sequences

if TYPE_CHECKING:
    import torch

MAX_ITEMS = 50_000  # the most frequent; the vectors and their two moments take 768 bytes each
LONGEST = 100  # rows of a window
NEGATIVES = 256
RATE, LEAST_RATE_SHARE, WARM_STEPS = 3.5e-3, 0.02, 100
AVERAGING = 0.998
MAX_EPOCHS = 200
LOOKED_AT = 2_000  # items beside the right one, to see the held-back loss
PATIENCE = 3  # looks without a better held-back loss
LOOKS = 12  # looks at the held-back loss in a budget
SAY_SECONDS = 2.0
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class Budget:
    """How long, with what and where; seconds are of all threads together divided by threads."""

    seconds: float
    threads: int = 1
    seed: int = 0
    epochs: float = MAX_EPOCHS
    stretch: tuple[float, float] = (0.0, 1.0)  # the part of the whole that this is, for the rate
    device: str = "auto"  # auto, cpu, cuda, mps
    checkpoint: Path | None = None  # written while training, read when it is there
    progress: Callable[[str], None] = lambda _text: None

    def __bool__(self) -> bool:
        return self.seconds > 0


def fit(data: Interactions, budget: Budget, before: Transformer | None = None) -> Transformer:
    """The network after the budget; `before` is one of the same items to go on from."""
    import torch

    cover, number = covered(data, MAX_ITEMS)
    rows = Sequences.of(data, number)
    torch.set_num_threads(budget.threads)
    torch.manual_seed(budget.seed)
    net = network(len(cover), min(LONGEST, _longest(rows)), len(data.kinds) + 1)
    if before is None:
        net.load({"item": start_vectors(rows.code, rows.offsets, len(cover), budget.seed)})
    else:
        net.load(_carried(before, cover, net.arrays()))
    run = _Run(torch, net.to(_device(torch, budget.device)), rows, budget)
    run.resume(data.items, cover)
    weights = run.all()
    run.keep(data.items, cover, done=True)
    return Transformer(data.item_count, cover.astype(np.int64), HEADS, weights)


class _Run:
    """One training: the network, its averaged weights, its optimiser, and where it stands."""

    def __init__(self, torch: Any, net: Any, rows: Sequences, budget: Budget) -> None:
        self.torch, self.net, self.rows, self.budget = torch, net, rows, budget
        self.device = next(net.parameters()).device
        self.narrow = halves_pay(self.device.type)
        self.parameters = list(net.parameters())
        self.average = [one.detach().clone() for one in self.parameters]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=RATE, weight_decay=0.01, fused=True)
        self.best: list[Any] | None = None
        self.best_loss, self.since_best = float("inf"), 0
        self.step, self.epoch, self.spent, self.tokens, self.loss = 0, 0, 0.0, 0, 0.0
        self.finished = False
        self.held, self.learned = windows.held_back(rows, net.longest, budget.seed)

    def all(self) -> dict[str, np.ndarray]:
        """Train to the end of the budget; the averaged weights that did best."""
        began, before = self._now(), self.spent
        said = saved = time.monotonic()
        looks = 1 + int(LOOKS * self.part())
        while not self.finished:
            for batch in windows.batches(self.rows, self.learned, self.net.longest, self._seed()):
                self._learn(batch)
                self.spent = before + self._now() - began
                part = self.part()
                if part * LOOKS >= looks:
                    looks += 1
                    self._look()
                if part >= 1.0 or self.since_best >= PATIENCE:
                    self.finished = True
                    break
                now = time.monotonic()
                if now - said > SAY_SECONDS:
                    said = now
                    self.budget.progress(self.words())
                if now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    self.save()
            self.epoch += 1
        if self.best is None or self.since_best == 0:
            self._look()
        self.budget.progress(self.words())
        return self._named(self.best or self.average)

    def words(self) -> str:
        """Where it stands: epoch, loss, tokens a second, seconds left."""
        left = self.budget.seconds - self.spent
        if self.part() > 0:
            left = min(left, self.spent * (1 / self.part() - 1))
        return (
            f"transformer: epoch {self.epoch + 1}, loss {self.loss:.3f}, "
            f"{self.tokens / max(self.spent, 1e-9):,.0f} tokens/s, {max(left, 0.0):.0f} s left"
        )

    def part(self) -> float:
        """How much of the budget is spent, 0 to 1."""
        return min(1.0, max(self.spent / self.budget.seconds, self.epoch / self.budget.epochs))

    def resume(self, items: Any, cover: np.ndarray) -> None:
        self.place = (items, cover)
        path = self.budget.checkpoint
        found = checkpoints.read(path, items, cover) if path else None
        if found is None or any(
            found[f"net/{name}"].shape != one.shape for name, one in self.net.arrays().items()
        ):  # rows that came since have another length or new event types
            return
        self._fill(self.parameters, found, "net")
        self._fill(self.average, found, "average")
        if "best/item" in found:
            self.best = [one.detach().clone() for one in self.average]
            self._fill(self.best, found, "best")
        if "first/item" in found:
            self._restore_moments(found)
        self.step, self.epoch, self.tokens = (int(found[n]) for n in ("step", "epoch", "tokens"))
        self.spent, self.best_loss = float(found["spent"]), float(found["best_loss"])
        self.since_best, self.finished = int(found["since_best"]), bool(found["finished"])

    def keep(self, items: Any, cover: np.ndarray, *, done: bool) -> None:
        self.place, self.finished = (items, cover), done
        self.save()

    def save(self) -> None:
        """Write the checkpoint in one step, when one is wanted."""
        if self.budget.checkpoint is None:
            return
        arrays = {f"net/{k}": v for k, v in self._named(self.parameters).items()}
        arrays |= {f"average/{k}": v for k, v in self._named(self.average).items()}
        if self.best is not None:
            arrays |= {f"best/{k}": v for k, v in self._named(self.best).items()}
        state = self.optimiser.state
        for part, key in (("first", "exp_avg"), ("second", "exp_avg_sq")):
            if self.step and not self.finished:
                moments = [state[one][key] for one in self.parameters]
                arrays |= {f"{part}/{k}": v for k, v in self._named(moments).items()}
        for name in ("step", "epoch", "tokens", "spent", "best_loss", "since_best", "finished"):
            arrays[name] = np.array(getattr(self, name))
        checkpoints.write(self.budget.checkpoint, *self.place, arrays)
        self.budget.progress(f"{checkpoints.SAID}{self.budget.checkpoint.name}")

    def _learn(self, batch: Batch) -> None:
        torch = self.torch
        begin, end = self.budget.stretch
        part = begin + (end - begin) * self.part()
        share = max(LEAST_RATE_SHARE, 0.5 * (1 + float(np.cos(np.pi * part))))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * share * min(1.0, (self.step + 1) / WARM_STEPS)
        self.net.train()
        negatives = torch.randperm(self.net.items, device=self.device)[:NEGATIVES]
        loss = self._loss(batch, negatives)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        decay = min(AVERAGING, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.step += 1
        self.tokens += batch.tokens
        if self.step % 20 == 1:
            self.loss = float(loss.detach())

    def _loss(self, batch: Batch, negatives: torch.Tensor) -> torch.Tensor:
        torch = self.torch
        code, kind, target, weight = batch.tensors(torch, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
            hidden = self.net(code, kind)
            known = target >= 0
            hidden, target, weight = hidden[known], target[known], weight[known]
            chosen = torch.nn.functional.embedding(target, self.net.item)
            right = (hidden * chosen).sum(-1, keepdim=True)
            every = torch.cat([right, (hidden @ self.net.item[negatives].T).float()], dim=1)
        place = torch.full((self.net.items,), -1, device=self.device)
        place[negatives] = torch.arange(len(negatives), device=self.device)
        found = place[target]
        taken = (found >= 0).nonzero().squeeze(1)
        every[taken, 1 + found[taken]] = -1e4
        first = torch.zeros_like(target)
        losses = torch.nn.functional.cross_entropy(every, first, reduction="none")
        return (losses * weight).sum() / weight.sum().clamp_min(1e-6)

    def _look(self) -> None:
        """The averaged weights' loss on rows held back; remember them while it falls."""
        torch = self.torch
        if not len(self.held):
            self.best = [one.clone() for one in self.average]
            return
        mine = [one.detach().clone() for one in self.parameters]
        generator = torch.Generator().manual_seed(self.budget.seed)
        negatives = torch.randperm(self.net.items, generator=generator)[:LOOKED_AT]
        negatives = negatives.to(self.device)
        self.net.eval()
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            batches = list(windows.held_batches(self.rows, self.held, self.net.longest))
            losses = [float(self._loss(one, negatives)) * one.targets for one in batches]
            torch._foreach_copy_(self.parameters, mine)
        loss = sum(losses) / max(sum(one.targets for one in batches), 1)
        self.since_best += 1
        if loss < self.best_loss:
            self.best_loss, self.since_best = loss, 0
            self.best = [one.clone() for one in self.average]

    def _restore_moments(self, found: dict[str, np.ndarray]) -> None:
        torch = self.torch
        for one in self.parameters:
            self.optimiser.state[one] = {
                "step": torch.tensor(float(found["step"])),
                "exp_avg": torch.zeros_like(one),
                "exp_avg_sq": torch.zeros_like(one),
            }
        state = self.optimiser.state
        self._fill([state[one]["exp_avg"] for one in self.parameters], found, "first")
        self._fill([state[one]["exp_avg_sq"] for one in self.parameters], found, "second")

    def _fill(self, into: list[Any], found: dict[str, np.ndarray], part: str) -> None:
        with self.torch.no_grad():
            for (name, _), one in zip(self.net.named_parameters(), into, strict=True):
                one.copy_(self.torch.from_numpy(found[f"{part}/{self.net.plain(name)}"]))

    def _named(self, values: list[Any]) -> dict[str, np.ndarray]:
        names = [self.net.plain(name) for name, _ in self.net.named_parameters()]
        return {
            name: one.detach().cpu().numpy().astype(np.float32, copy=True)
            for name, one in zip(names, values, strict=True)
        }

    def _seed(self) -> int:
        return self.budget.seed * 100_003 + self.epoch

    def _now(self) -> float:
        """Seconds of work: a busy machine does not shorten a training on its CPU."""
        if self.device.type == "cpu":
            return time.process_time() / self.torch.get_num_threads()
        return time.monotonic()


def _carried(before: Transformer, cover: np.ndarray, fresh: dict[str, Any]) -> dict[str, Any]:
    """An earlier network's weights for this cover; items new to it keep their fresh vector."""
    known = np.isin(cover, before.cover)
    item = fresh["item"].copy()
    item[known] = before.weights["item"][np.searchsorted(before.cover, cover[known])]
    same = {
        name: array
        for name, array in before.weights.items()
        if name != "item" and array.shape == fresh[name].shape
    }
    return same | {"item": item}


def _longest(rows: Sequences) -> int:
    return max(1, int(np.diff(rows.offsets).max(initial=1)))


def _device(torch: Any, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "cpu"


__all__ = ["DIMENSION", "Budget", "fit"]
