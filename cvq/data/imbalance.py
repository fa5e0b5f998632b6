"""Factor values drawn with geometric weights: the first value most often, the last one least."""

from __future__ import annotations

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.hashing import hash64, unit
from cvq.data.images import Images
from cvq.data.splits import parse_by_factor
from cvq.errors import UserError


def geometric_weights(size: int, ratio: float) -> np.ndarray:
  """Probabilities [size] that fall geometrically from the first value to the last.

  Args:
    size: number of values. ratio: of the first value's probability to the last one's, >= 1.
  """
  weights = ratio ** (-np.arange(size) / max(size - 1, 1))
  return weights / weights.sum()


def parse_ratios(text: str, space: FactorSpace) -> dict[int, float]:
  """'shape=10,posX=5' or '10' (all factors) -> {factor: ratio}; '' -> {}.

  Raises:
    UserError: an unknown factor, or a ratio that is not a number of at least 1.
  """
  if text.strip() and '=' not in text:
    text = ','.join(f'{name}={text.strip()}' for name in space.names)
  ratios = {}
  for factor, value in parse_by_factor(text, space, 'dataset.imbalance').items():
    try:
      ratio = float(value)
    except ValueError:
      ratio = np.nan
    if not 1 <= ratio < np.inf:
      raise UserError(f'dataset.imbalance: {space.names[factor]}={value} is not a ratio of at '
                      'least 1 (most to least frequent value).')
    ratios[factor] = ratio
  return ratios


class Imbalance:
  """Images drawn so that each factor's values have geometric frequencies.

  On a full grid the factors are drawn independently. Where images are a sample of the
  combinations (CelebA), combinations that exist are drawn by the product of their values'
  weights, and then one of their images.

  Args:
    images: of the dataset. ratios: of some factors, most to least frequent value.
  """

  def __init__(self, images: Images, ratios: dict[int, float]):
    self._images = images
    self._weights = [geometric_weights(size, ratios.get(factor, 1.))
                     for factor, size in enumerate(images.space.sizes)]
    self._cumulative = None
    if images.combination is not None:
      _, inverse, count = np.unique(images.combination, return_inverse=True, return_counts=True)
      self._sharing = count[inverse.reshape(-1)]       # images with the combination of each
      self._cumulative = _cumulative(self.of(np.arange(images.num_images)))

  def of(self, index: np.ndarray) -> np.ndarray:
    """Weight of images, [n] int -> [n] float64: the product over their factor values, of which the
    images of a combination have equal parts."""
    factors = self._images.factors(index)
    product = np.ones(np.shape(index))
    for column, weights in enumerate(self._weights):
      product = product * weights[factors[..., column]]
    return product if self._images.combination is None else product / self._sharing[index]

  def draw(self, *words: int | np.ndarray, action: np.ndarray | None = None) -> np.ndarray:
    """Images as a pure function of whole numbers, in their broadcast shape.

    Args:
      *words: see `cvq.data.hashing.hash64`.
      action: int that broadcasts with the words: on a full grid, values from which the action
        would leave its factor's range are left out.
    """
    if self._cumulative is not None:
      return np.searchsorted(self._cumulative, unit(hash64(*words)), side='right')
    space = self._images.space
    values = []
    for factor, weights in enumerate(self._weights):
      u = unit(hash64(*words, factor))
      value = np.searchsorted(_cumulative(weights), u, side='right')
      if action is not None and space.factors[factor].kind != 'cyclic' and weights.size > 1:
        up = np.searchsorted(_cumulative(weights[:-1]), u, side='right')
        down = 1 + np.searchsorted(_cumulative(weights[1:]), u, side='right')
        value = np.where(action == factor, up, value)
        value = np.where(action == space.num_factors + factor, down, value)
      values.append(value)
    return space.to_index(np.stack(values, axis=-1))


def _cumulative(weights: np.ndarray) -> np.ndarray:
  total = np.cumsum(weights)
  total /= total[-1]                                   # exactly 1 at the end: no index beyond
  return total
