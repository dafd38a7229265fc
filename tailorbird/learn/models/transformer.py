"""A small sequence transformer (SASRec with LiGR blocks), read and answered with numpy alone.

`transformer_training` fits it with torch; here is the forward pass of the last place of a history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tailorbird.learn.models.ids import Arrays
from tailorbird.learn.models.interactions import History

NORM_EPSILON = 1e-5


@dataclass
class Transformer:
    """Scores by the last hidden state's product with every covered item's vector."""

    size: int
    cover: np.ndarray  # item numbers of the covered items, ascending
    heads: int
    weights: Arrays  # as `transformer_training` names them: item, place, kind, 0.qkv.w, ...
    epochs: float = 0.0  # how often it has learned every row

    def __post_init__(self) -> None:
        self._code = np.full(self.size, -1, dtype=np.int64)
        self._code[self.cover] = np.arange(len(self.cover))
        self._blocks = len([name for name in self.weights if name.endswith(".qkv.w")])

    def score(self, history: History) -> np.ndarray:
        """Uncovered items score as the least of the covered; nothing known scores nothing."""
        hidden = self.hidden(history)
        if hidden is None:
            return np.zeros(self.size, dtype=np.float32)
        found = self.weights["item"] @ hidden
        scores = np.full(self.size, found.min(), dtype=np.float32)
        scores[self.cover] = found
        return scores

    def hidden(self, history: History) -> np.ndarray | None:
        """The state after the newest rows that the model covers; None without any."""
        code = self._code[history.item]
        known = code >= 0
        longest = len(self.weights["place"])
        code = code[known][-longest:]
        if not len(code):
            return None
        kind = np.clip(history.kind[known][-longest:] + 1, 0, len(self.weights["kind"]) - 1)
        w = self.weights
        x = w["item"][code] * np.float32(w["item"].shape[1] ** 0.5)
        x = x + w["place"][: len(code)] + w["kind"][kind]
        for block in range(self._blocks):
            x = self._block(x, f"{block}.", last=block == self._blocks - 1)
        return _norm(x, w["norm.w"], w["norm.b"])[-1]

    def _block(self, x: np.ndarray, name: str, *, last: bool) -> np.ndarray:
        """One LiGR block; the last one is needed at the last place only."""
        w = self.weights
        y = _norm(x, w[f"{name}norm1.w"], w[f"{name}norm1.b"])
        dim = x.shape[1]
        qkv = y @ w[f"{name}qkv.w"].T + w[f"{name}qkv.b"]
        rows = slice(-1, None) if last else slice(None)
        q, k, v = qkv[rows, :dim], qkv[:, dim : 2 * dim], qkv[:, 2 * dim :]
        told = _attention(q, k, v, self.heads) @ w[f"{name}out.w"].T + w[f"{name}out.b"]
        x = x[rows]
        x = x + _sigmoid(x @ w[f"{name}gate1.w"].T + w[f"{name}gate1.b"]) * told
        y = _norm(x, w[f"{name}norm2.w"], w[f"{name}norm2.b"])
        gate, up = np.split(y @ w[f"{name}up.w"].T + w[f"{name}up.b"], 2, axis=1)
        told = (gate * _sigmoid(gate) * up) @ w[f"{name}down.w"].T + w[f"{name}down.b"]
        return x + _sigmoid(x @ w[f"{name}gate2.w"].T + w[f"{name}gate2.b"]) * told

    def arrays(self) -> Arrays:
        named = {f"w.{name}": array for name, array in self.weights.items()}
        return named | {
            "size": np.array(self.size),
            "cover": self.cover,
            "heads": np.array(self.heads),
            "epochs": np.array(self.epochs),
        }

    @classmethod
    def load(cls, arrays: Arrays) -> Transformer:
        weights = {name[2:]: array for name, array in arrays.items() if name.startswith("w.")}
        epochs = float(arrays.get("epochs", 0.0))
        return cls(int(arrays["size"]), arrays["cover"], int(arrays["heads"]), weights, epochs)


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """Causal attention of the newest `len(q)` places over all places."""
    count, dim = k.shape
    size = dim // heads
    q = q.reshape(len(q), heads, size).transpose(1, 0, 2)
    k = k.reshape(count, heads, size).transpose(1, 2, 0)
    v = v.reshape(count, heads, size).transpose(1, 0, 2)
    grades = (q @ k) * np.float32(size**-0.5)
    if grades.shape[1] > 1:
        grades += np.triu(np.full((count, count), -np.inf, dtype=np.float32), 1)
    raised = np.exp(grades - grades.max(axis=-1, keepdims=True))
    raised /= raised.sum(axis=-1, keepdims=True)
    return (raised @ v).transpose(1, 0, 2).reshape(-1, dim)


def _norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(spread + np.float32(NORM_EPSILON)) * weight + bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))
