"""Fits the transformer with torch (extra `[torch]`), on CPU or GPU, within a budget of seconds.

Softmax over a sample of the items that a batch shares, random windows over whole histories, item
vectors that start from an SVD of who follows whom, averaged weights; the best by held-back loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.learn.models import checkpoints, windows
from tailorbird.learn.models.gradients import Gradients
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.linear import covered
from tailorbird.learn.models.lots import Lots
from tailorbird.learn.models.network import DIMENSION, HEADS, network, start_vectors
from tailorbird.learn.models.transformer import Transformer
from tailorbird.learn.models.windows import Batch, Sequences

MAX_ITEMS = 50_000  # the most frequent; the vectors and their two moments take 768 bytes each
LONGEST = 100  # rows of a window
NEGATIVES = 768  # items a batch is told apart from
RATE, LEAST_RATE_SHARE, WARM_STEPS = 3.5e-3, 0.02, 100
AVERAGING = 0.998
MAX_EPOCHS = 200
LOOKED_AT = 2_000  # items beside the right one, to see the held-back loss
PATIENCE = 4  # looks without a better held-back loss
LOOKS = 8  # looks at the held-back loss in a budget
DROPPED, DROPPED_FROM, DROPPED_WHOLE = 0.2, 12.0, 60.0  # share of numbers, by epochs to come
SAY_SECONDS = 2.0
CHECKPOINT_SECONDS = 30.0
COUNTS = ("step", "epoch", "tokens", "targets", "since_best")  # where a training stands
SUMS = ("spent", "best_loss", "best_epochs")


@dataclass(frozen=True)
class Budget:
    """How long, with what and where; seconds are of all threads together divided by threads."""

    seconds: float
    threads: int = 1
    seed: int = 0
    epochs: float = MAX_EPOCHS
    stretch: tuple[float, float] = (0.0, 1.0)  # the part of the whole that this is, for the rate
    look: bool = True  # at rows held back, to end when their loss rises
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

    def build() -> Any:
        return network(len(cover), min(LONGEST, _longest(rows)), len(data.kinds) + 1)

    net = build()
    if before is None:
        net.load({"item": start_vectors(rows.code, rows.offsets, len(cover), budget.seed)})
    else:
        net.load(_carried(before, cover, net.arrays()))
    learned = before.epochs if before else 0.0
    net = net.to(_device(torch, budget.device))
    gradients = Gradients(torch, net, build, budget.threads, budget.seed)
    run = _Run(torch, gradients, rows, budget, learned)
    run.resume(data.items, cover)
    weights = run.all()
    run.keep(data.items, cover, done=True)
    cover = cover.astype(np.int64)
    return Transformer(data.item_count, cover, HEADS, weights, learned + run.best_epochs)


class _Run:
    """One training: the network, its averaged weights, its optimiser, and where it stands."""

    def __init__(
        self, torch: Any, gradients: Gradients, rows: Sequences, budget: Budget, before: float
    ) -> None:
        self.torch, self.gradients, self.net = torch, gradients, gradients.net
        self.rows, self.budget, self.before = rows, budget, before
        self.device, self.parameters = gradients.device, gradients.parameters
        self.average = [one.detach().clone() for one in self.parameters]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=RATE, weight_decay=0.01, fused=True)
        self.best: list[Any] | None = None
        self.best_loss, self.best_epochs, self.since_best = float("inf"), 0.0, 0
        self.step, self.epoch, self.spent, self.tokens, self.loss = 0, 0, 0.0, 0, 0.0
        self.targets, self.finished = 0, False
        uses = rows.uses(self.net.items)
        self.lots = Lots(torch, uses, NEGATIVES, budget.seed, self.device)
        self.same = Lots(torch, uses, LOOKED_AT, budget.seed, self.device).draw()
        self.held, self.learned = windows.held_back(
            rows, self.net.longest, budget.seed, windows.HELD_BACK_WINDOWS if budget.look else 0
        )
        self.all_targets = int(np.maximum(self.learned - rows.offsets[:-1] - 1, 0).sum())

    def all(self) -> dict[str, np.ndarray]:
        """Train to the end of the budget; the averaged weights that did best."""
        began, before = self._now(), self.spent
        said = saved = time.monotonic()
        looks = 1 + int(LOOKS * self.part())
        self.finished = self.finished or not self.all_targets
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

    @property
    def epochs(self) -> float:
        """How often every row was learned."""
        return self.targets / max(self.all_targets, 1)

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
        return min(1.0, max(self.spent / self.budget.seconds, self.epochs / self.budget.epochs))

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
        for name in COUNTS:
            setattr(self, name, int(found[name]))
        for name in SUMS:
            setattr(self, name, float(found[name]))
        self.finished = bool(found["finished"])

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
        for name in (*COUNTS, *SUMS, "finished"):
            arrays[name] = np.array(getattr(self, name))
        checkpoints.write(self.budget.checkpoint, *self.place, arrays)
        self.budget.progress(f"{checkpoints.SAID}{self.budget.checkpoint.name}")

    def _learn(self, batch: Batch) -> None:
        torch = self.torch
        part = self._of_the_whole()
        share = max(LEAST_RATE_SHARE, 0.5 * (1 + float(np.cos(np.pi * part))))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * share * min(1.0, (self.step + 1) / WARM_STEPS)
        gone = dropped((self.before + self.epochs) / part) if part > 0 else 0.0
        self.loss, found = self.gradients.of(batch, self.lots.draw(), gone)
        for one, gradient in zip(self.parameters, found, strict=True):
            one.grad = gradient
        self.optimiser.step()
        decay = min(AVERAGING, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.step += 1
        self.tokens += batch.tokens
        self.targets += batch.targets

    def _of_the_whole(self) -> float:
        """How much of the whole training is over, of which the budget is a stretch, 0 to 1."""
        begin, end = self.budget.stretch
        return begin + (end - begin) * self.part()

    def _look(self) -> None:
        """The averaged weights' loss on rows held back; remember them while it falls."""
        torch = self.torch
        if not len(self.held):
            self._remember()
            return
        mine = [one.detach().clone() for one in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            batches = list(windows.held_batches(self.rows, self.held, self.net.longest))
            loss = sum(self.gradients.loss(one, self.same) * one.targets for one in batches)
            torch._foreach_copy_(self.parameters, mine)
        loss /= max(sum(one.targets for one in batches), 1)
        self.since_best += 1
        if loss < self.best_loss:
            self.best_loss, self.since_best = loss, 0
            self._remember()

    def _remember(self) -> None:
        self.best = [one.clone() for one in self.average]
        self.best_epochs = self.epochs

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
            return time.process_time() / self.budget.threads
        return time.monotonic()


def dropped(epochs: float) -> float:
    """The share for a training that will see every row so often: a short one has no time to learn
    by heart."""
    since = (epochs - DROPPED_FROM) / (DROPPED_WHOLE - DROPPED_FROM)
    return DROPPED * min(1.0, max(0.0, since))


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
