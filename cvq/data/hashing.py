"""A counter-based hash on arrays: randomness as a pure function of whole numbers, without state."""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = (1 << 64) - 1


def hash64(*words: int | np.ndarray) -> np.ndarray:
  """Hash of a tuple of whole numbers, elementwise: uint64, in the broadcast shape of the words.

  Each word is absorbed by one round of the SplitMix64 finaliser (Steele, Lea, Flood 2014, "Fast
  splittable pseudorandom number generators", figure 16); the order of the words matters.

  Args:
    *words: int of any size and sign (taken modulo 2^64) or integer arrays.
  """
  state = np.zeros((1,), np.uint64)                    # an array: scalars warn of overflow
  for word in words:
    if isinstance(word, int):
      word = np.uint64(word & _MASK)
    state = _mix((state ^ np.asarray(word).astype(np.uint64)) + _GOLDEN)
  return state.reshape(np.broadcast_shapes(*(np.shape(word) for word in words)))


def _mix(x: np.ndarray) -> np.ndarray:
  x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return x ^ (x >> np.uint64(31))


def below(bits: np.ndarray, limit: int | np.ndarray) -> np.ndarray:
  """Whole numbers in [0, limit) from hashes: int64. limit < 2^32; bias under limit / 2^32."""
  limit = np.asarray(limit).astype(np.uint64)
  return (((bits >> np.uint64(32)) * limit) >> np.uint64(32)).astype(np.int64)


def unit(bits: np.ndarray) -> np.ndarray:
  """Numbers in [0, 1) from hashes: float64, 53 bits each."""
  return (bits >> np.uint64(11)).astype(np.float64) * 2.**-53
