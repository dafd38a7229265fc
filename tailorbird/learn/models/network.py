"""The transformer as torch trains it, its weights named as the numpy side reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

if TYPE_CHECKING:
    import torch

DIMENSION, BLOCKS, HEADS, WIDER = 64, 2, 2, 2
START_WINDOW = 3  # rows apart that count as together for the first item vectors
START_SPREAD = 0.7  # length of a first item vector; a random one has 1


def network(items: int, longest: int, kinds: int) -> Any:
    """A fresh torch module; `kinds` counts 0, an event type that nobody knows."""
    import torch
    from torch import nn
    from torch.nn import functional as f

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(DIMENSION), nn.LayerNorm(DIMENSION)
            self.qkv = nn.Linear(DIMENSION, 3 * DIMENSION)
            self.out = nn.Linear(DIMENSION, DIMENSION)
            self.up = nn.Linear(DIMENSION, 2 * WIDER * DIMENSION)
            self.down = nn.Linear(WIDER * DIMENSION, DIMENSION)
            self.gate1, self.gate2 = (nn.Linear(DIMENSION, DIMENSION) for _ in range(2))

        def forward(self, x: torch.Tensor, drop: Dropout | None) -> torch.Tensor:
            rows, length, _ = x.shape
            parts = self.qkv(self.norm1(x)).view(rows, length, 3, HEADS, DIMENSION // HEADS)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            if q.dtype == torch.bfloat16:
                told = _attention(q, k, v)
            else:
                told = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            told = self.out(told.transpose(1, 2).reshape(rows, length, DIMENSION))
            x = x + torch.sigmoid(self.gate1(x)) * (drop(told) if drop else told)
            gate, up = self.up(self.norm2(x)).chunk(2, dim=-1)
            told = self.down(f.silu(gate) * up)
            return x + torch.sigmoid(self.gate2(x)) * (drop(told) if drop else told)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items, self.longest = items, longest
            spread = DIMENSION**-0.5
            self.item = nn.Parameter(torch.randn(items, DIMENSION) * spread)
            self.place = nn.Parameter(torch.randn(longest, DIMENSION) * 0.1)
            self.kind = nn.Parameter(torch.zeros(kinds, DIMENSION))
            self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
            self.norm = nn.LayerNorm(DIMENSION)

        def forward(
            self, code: torch.Tensor, kind: torch.Tensor, drop: Dropout | None = None
        ) -> torch.Tensor:
            x = (
                f.embedding(code, self.item) * DIMENSION**0.5
                + self.place[: code.shape[1]]
                + self.kind[kind]
            )
            x = drop(x) if drop else x
            for block in self.blocks:
                x = block(x, drop)
            return self.norm(x)

        def plain(self, name: str) -> str:
            """`blocks.0.qkv.weight` is `0.qkv.w` in a stored model."""
            name = name.removeprefix("blocks.").removesuffix("eight")
            return name.removesuffix("ias") if name.endswith(".bias") else name

        def load(self, arrays: dict[str, np.ndarray]) -> None:
            """Take the weights that are named, leave the others."""
            with torch.no_grad():
                for name, one in self.named_parameters():
                    if self.plain(name) in arrays:
                        one.copy_(torch.from_numpy(np.array(arrays[self.plain(name)])))

        def arrays(self) -> dict[str, np.ndarray]:
            return {
                self.plain(name): one.detach().cpu().numpy()
                for name, one in self.named_parameters()
            }

    return Network()


def halves_pay(device: str) -> bool:
    """Whether this processor multiplies bfloat16 natively: a step then costs two thirds."""
    import torch

    if device != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention in plain products: torch's own is many times slower in bfloat16 on a CPU."""
    import torch

    rows, heads, length, size = q.shape
    q, k, v = (one.reshape(rows * heads, length, size) for one in (q, k, v))
    later = torch.full((length, length), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    with torch.autocast(q.device.type, enabled=False):
        grades = torch.baddbmm(later, q, k.transpose(1, 2), alpha=size**-0.5)
        return torch.bmm(torch.softmax(grades, -1), v).view(rows, heads, length, size)


class Dropout:
    """Dropout by one random byte a number, a fifth of the cost of torch's own on a CPU; each thread
    has a generator of its own."""

    def __init__(self, seed: int, device: Any) -> None:
        import torch

        self.generator = torch.Generator(device).manual_seed(seed)
        self.share = 0.0  # of the numbers, in steps of 1/256

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        gone = round(256 * self.share)
        if not gone:
            return x
        count = x.numel()
        words = torch.empty(-(-count // 8), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), 2**63 - 1, generator=self.generator)
        bytes_ = words.view(torch.uint8)[:count].view(x.shape)
        return x * ((bytes_ >= gone).to(x.dtype) * (256 / (256 - gone)))


def start_vectors(code: np.ndarray, offsets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """[count, DIMENSION] from a truncated SVD of positive pointwise mutual information."""
    random = np.random.default_rng(seed)
    noise = random.normal(0.0, 0.1 * DIMENSION**-0.5, (count, DIMENSION)).astype(np.float32)
    user = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pairs = sparse.csr_matrix((count, count), dtype=np.float32)
    for lag in range(1, START_WINDOW + 1):
        same = user[lag:] == user[: max(len(user) - lag, 0)]
        left, right = code[: max(len(code) - lag, 0)][same], code[lag:][same]
        ones = np.full(len(left), 1.0 / lag, dtype=np.float32)
        pairs = pairs + sparse.coo_matrix((ones, (left, right)), shape=(count, count)).tocsr()
    pairs = (pairs + pairs.T).tocsr()
    if count <= DIMENSION + 1 or pairs.nnz == 0:
        return noise * np.float32(10.0)
    uses = np.asarray(pairs.sum(axis=1)).ravel()
    left = np.repeat(np.arange(count), np.diff(pairs.indptr))
    expected = uses[left] * uses[pairs.indices] / uses.sum()
    pairs.data = np.maximum(np.log(pairs.data / expected), 0.0).astype(np.float32)
    first = random.normal(size=count)
    u, s, _ = linalg.svds(pairs, k=DIMENSION, v0=first, tol=1e-2)
    vectors = u * np.sqrt(s)[None, :]
    length = np.sqrt(np.square(vectors).sum(axis=1).mean())
    return (noise + vectors * (START_SPREAD / max(length, 1e-9))).astype(np.float32)
