"""How the codes are used, and how many of them a transition changes.

Everything is a sum over examples, so that batches and devices add up exactly: `count` and
`changed` give the summands (NumPy or JAX arrays alike), `usage` and `perplexity` read the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def count(codes: Any, codebooks: int, num_codes: int) -> Any:
  """How often each example uses each code: [B, V] int, V = K*H*W -> [B, K, N] int."""
  b = codes.shape[0]
  ids = np.arange(num_codes)
  return (codes.reshape(b, codebooks, -1, 1) == ids).sum(-2)


def changed(x_codes: Any, y_codes: Any, codebooks: int) -> tuple[Any, Any]:
  """Variables, and grid positions with any changed variable: [B, V] int twice -> [B], [B]."""
  differ = (x_codes != y_codes).reshape(x_codes.shape[0], codebooks, -1)
  return differ.sum((1, 2)), differ.any(1).sum(-1)


def usage(counts: np.ndarray) -> np.ndarray:
  """Share of each codebook's codes used at least once: [K, N] counts -> [K] in [0, 1]."""
  return (np.asarray(counts) > 0).mean(-1)


def perplexity(counts: np.ndarray) -> np.ndarray:
  """Effective number of codes, exp(entropy of their use): [K, N] counts -> [K] in [1, N].

  0 for a codebook that was never used.
  """
  counts = np.asarray(counts, np.float64)
  total = counts.sum(-1, keepdims=True)
  p = counts / np.maximum(total, 1)
  entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
  return np.where(total[:, 0] > 0, np.exp(entropy), 0.)


def rate(codes: np.ndarray, codebooks: int, num_codes: int) -> dict[str, float]:
  """Bits that the codes of an image take: [n, V] int, V = K*H*W.

  Returns:
    `nominal`: V log2 N, of fixed-length codes;
    `by_codebook`: with the entropy of each codebook's codes, wherever they stand;
    `by_variable`: with the entropy of each variable's own codes. Entropies are counted, which is
    too low by about (values - 1) / 2n nats a variable (Miller 1955).
  """
  n, variables = codes.shape
  books = codes.reshape(n, codebooks, -1)
  counts = count(codes, codebooks, num_codes).sum(0)                          # [K, N]
  each = [np.log(perplexity(count(column[:, None], 1, num_codes).sum(0)))[0] for column in codes.T]
  return {'nominal': float(variables * np.log2(num_codes)),
          'by_codebook': float(books.shape[-1] * np.log2(perplexity(counts)).sum()),
          'by_variable': float(np.sum(each) / np.log(2))}
