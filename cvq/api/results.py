"""What a model answers: small records of NumPy arrays. Imports NumPy alone."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Edited:
  """Images after an intervention; without the batch axis n where one image was given.

  Attributes:
    images: [n, H, W, C] float32 in [0, 1].
    codes: [n, V] int32, the likeliest code of each variable.
    mask: [n, V] float32 in [0, 1], how far the action intervenes on each variable.
    graph: [n, S, S] float32, weights of the edges in use: row = child, column = parent.
  """
  images: np.ndarray
  codes: np.ndarray
  mask: np.ndarray
  graph: np.ndarray


@dataclasses.dataclass(frozen=True)
class Ranked:
  """Which action led from one image to another.

  Attributes:
    probabilities: [n, A] float32, or [A] where one pair was given.
    names: A, of the actions.
  """
  probabilities: np.ndarray
  names: tuple[str, ...]

  def best(self, k: int = 1) -> list:
    """The k likeliest actions, [(name, probability), ...] likeliest first: a list for each pair.

    Where one pair was given, its list alone.
    """
    order = np.argsort(-self.probabilities, axis=-1, kind='stable')[..., :k]
    rows = [[(self.names[i], float(p[i])) for i in row]
            for row, p in zip(np.atleast_2d(order), np.atleast_2d(self.probabilities))]
    return rows[0] if self.probabilities.ndim == 1 else rows


@dataclasses.dataclass(frozen=True)
class Plan:
  """A sequence of actions between two images.

  Attributes:
    actions: their names, in order; empty where nothing has to be done.
    score: log-probability of the target's codes and pixels after the last action, less what
      steps cost that the global level sees left to go, where the model has one; up to a
      constant of the target; 0 for the empty plan of equal codes.
    codes: [len(actions) + 1, V] int32, what the model expects on the way, from the image's own
      codes on; `Model.decode` draws them.
  """
  actions: tuple[str, ...]
  score: float
  codes: np.ndarray = dataclasses.field(repr=False)
