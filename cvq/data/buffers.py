"""Memory of batches, used again: fresh memory costs more time than many images."""

from __future__ import annotations

import math

import numpy as np

_ALIGNED = 64                  # JAX shares arrays that start so with the CPU, and copies others


class Buffers:
  """Arrays of one shape, whose memory goes to the next one when nobody refers to it any more.

  So there is as much memory as was in use at once. May be called from several threads.

  Args:
    shape: of the arrays, which are uint8.
  """

  def __init__(self, shape: tuple[int, ...]):
    self._shape, self._free = shape, []

  def empty(self) -> np.ndarray:
    """An array of any content. Views of it, and JAX arrays that share its memory, keep it."""
    try:
      memory = self._free.pop()
    except IndexError:
      memory = _aligned(math.prod(self._shape))
    return np.asarray(_Loan(memory, self._shape, self._free))


class _Loan:
  """What an array and its views refer to as the owner of their memory."""

  def __init__(self, memory: np.ndarray, shape: tuple[int, ...], free: list[np.ndarray]):
    self.__array_interface__ = memory.__array_interface__ | {'shape': shape}
    self._memory, self._free = memory, free

  def __del__(self):
    self._free.append(self._memory)


def _aligned(size: int) -> np.ndarray:
  memory = np.empty(size + _ALIGNED, np.uint8)
  start = -memory.ctypes.data % _ALIGNED
  return memory[start:start + size]
