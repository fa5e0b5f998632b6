"""Factors and representations with known scores."""

import numpy as np

SIZES = (4, 5, 3)


def drawn(n: int, sizes=SIZES, seed: int = 0) -> np.ndarray:
  """Independent factors with equally likely values: [n, F] int."""
  rng = np.random.default_rng(seed)
  return np.stack([rng.integers(size, size=n) for size in sizes], axis=-1)


def grid(sizes=SIZES, times: int = 1) -> np.ndarray:
  """Every combination of values, as often: what is counted on it is exact. [n, F] int."""
  return np.tile(np.stack(np.meshgrid(*map(np.arange, sizes), indexing='ij'), -1)
                 .reshape(-1, len(sizes)), (times, 1))


def rotated(factors: np.ndarray) -> np.ndarray:
  """Factors as latents of mean 0, the first two turned by 45 degrees: [n, F] float."""
  z = factors - factors.mean(0)
  return np.column_stack([(z[:, 0] + z[:, 1]) / 2 ** .5, (z[:, 0] - z[:, 1]) / 2 ** .5, z[:, 2:]])


def relabelled(codes: np.ndarray, seed: int = 3) -> np.ndarray:
  """The same codes under other ids, in every column: [n, V] int."""
  rng = np.random.default_rng(seed)
  return np.stack([rng.permutation(1000)[column] - 500 for column in codes.T], axis=-1)


def shuffled(factors: np.ndarray, seed: int = 4) -> np.ndarray:
  """Codes as frequent as the factors' values and independent of them: [n, F] int."""
  return np.random.default_rng(seed).permuted(factors, axis=0)
