"""Images of the dataset to begin with: single ones, and pairs some actions apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvq.data import prepare, splits
from cvq.data.images import Images
from cvq.errors import UserError
from cvq.evaluation import planning


class Examples:
  """Random images of the test split.

  Args:
    images: of the dataset. config: `config.dataset`, which says what the split is.
  """

  def __init__(self, images: Images, config: Any):
    self._images, self._rng = images, np.random.default_rng()
    self._inside = splits.members(images, config, 'test')

  @property
  def has_pairs(self) -> bool:
    """Whether every combination of factors has its image, so that walks lead somewhere."""
    return self._images.combination is None

  def image(self) -> np.ndarray:
    """One image, [H, W, C] uint8. Raises UserError if the split is too small to meet one."""
    candidates = self._rng.integers(0, self._images.num_images, 4096)
    candidates = candidates[self._inside(candidates)]
    if not candidates.size:
      raise UserError('The test split of the dataset is empty, or nearly; upload an image.')
    return self._images.read(candidates[:1])[0]

  def pair(self, steps: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two images that at most `steps` actions join, and such actions, by their names.

    Raises:
      UserError: the split is too small, or the dataset is no full grid.
    """
    if not self.has_pairs:
      raise UserError('This dataset does not hold every combination of factors; choose two images '
                      'yourself.')
    space = self._images.space
    start, target = planning.draw_pairs(
        space, self._inside, steps=steps, pairs=1, rng=self._rng)
    x, y = self._images.read(np.concatenate([start, target]))
    actions = []
    for factor, a, b in zip(space.factors, *space.to_factors(np.concatenate([start, target]))):
      gap = int(b - a)
      if factor.kind == 'cyclic' and 2 * abs(gap) > factor.size:
        gap -= factor.size * (1 if gap > 0 else -1)
      actions += [f'{factor.name}{"+1" if gap > 0 else "-1"}'] * abs(gap)
    return x, y, actions


def open_examples(model: Any, config: Any) -> tuple[Examples | None, str]:
  """The dataset of a run, if it is there or can be rendered; nothing is downloaded.

  Args:
    model: `cvq.api.model.Model`. config: the whole config.

  Returns:
    The examples or None, and, for a reader, why there are none.
  """
  try:
    with prepare.nothing_obtained():
      images = model.open_run(config).dataset.images
    return Examples(images, config.dataset), ''
  except UserError as error:
    return None, str(error)
