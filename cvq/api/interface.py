"""The calls that a trained and an exported model share: checks, batches, names. NumPy alone."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Mapping

import numpy as np

from cvq.api.inputs import as_actions, as_codes, as_images
from cvq.api.results import Edited, Ranked
from cvq.errors import UserError


@dataclasses.dataclass(frozen=True)
class Facts:
  """What a model must know of itself to take and to name things.

  Attributes:
    dataset: in words, 'dsprites (rendered)'.
    image_shape: (H, W, C). action_names: A, in the order of the model.
    grid: (H, W) of the latents. codebooks: K. codes: N of each.
    step: gradient steps of training. seed: of the run. version: of cvq that wrote it.
    largest_batch: images at once, a power of two; more are taken in pieces.
  """
  dataset: str
  image_shape: tuple[int, int, int]
  action_names: tuple[str, ...]
  grid: tuple[int, int]
  codebooks: int
  codes: int
  step: int
  seed: int
  version: str
  largest_batch: int

  @property
  def variables(self) -> int:
    """V = K * H * W."""
    return self.codebooks * self.grid[0] * self.grid[1]


class Interface:
  """Encode, decode, intervene, retrieve.

  Args:
    facts: of the model.
    functions: 'encode', 'decode', 'intervene' and 'retrieve' of `cvq.inference`, from arrays with
      a leading batch axis to a dict of such arrays; each is called with batches of 1, 2, 4, ...
      up to facts.largest_batch, so that it is compiled for few shapes.
  """

  def __init__(self, facts: Facts, functions: Mapping[str, Callable[..., dict]]):
    self.facts, self._functions = facts, dict(functions)

  @property
  def action_names(self) -> tuple[str, ...]:
    """A names; action f moves factor f by +1, action A/2 + f by -1."""
    return self.facts.action_names

  def encode(self, images: Any) -> np.ndarray:
    """Codes of images.

    Args:
      images: [n, H, W, C] uint8 or floating in [0, 1]; see `cvq.api.inputs.as_images`.

    Returns:
      [n, V] int32, ordered (codebook, row, column); [V] for a single image.

    Raises:
      UserError: images of a wrong size, type or range.
    """
    array, single = as_images(images, self.facts.image_shape)
    return _strip(self._call('encode', array)['codes'], single)

  def decode(self, codes: Any) -> np.ndarray:
    """Images of codes.

    Args:
      codes: [n, V] or [V] int, 0 to N - 1.

    Returns:
      [n, H, W, C] float32 in [0, 1]; [H, W, C] for [V] codes.

    Raises:
      UserError: codes of a wrong shape, type or range.
    """
    array, single = as_codes(codes, self.facts.variables, self.facts.codes)
    return _strip(self._call('decode', array)['images'], single)

  def intervene(self, images: Any, action: Any) -> Edited:
    """What images become under an action.

    Args:
      images: as for `encode`.
      action: a name ('posX+1'), an index, or a sequence with one for each image. A single image
        takes any number of them, and gives as many results.

    Raises:
      UserError: bad images, an unknown action, numbers of images and actions that differ.
    """
    array, single = as_images(images, self.facts.image_shape)
    actions, one = as_actions(action, self.action_names)
    if one:
      actions = np.repeat(actions, len(array))
    elif single:
      array = np.repeat(array, len(actions), axis=0)
    elif len(actions) != len(array):
      raise UserError(f'{len(actions)} actions for {len(array)} images; expected one, or one for '
                      'each image.')
    result = self._call('intervene', array, actions)
    return Edited(**{name: _strip(value, single and one) for name, value in result.items()})

  def retrieve(self, images: Any, targets: Any) -> Ranked:
    """Which action led from each image to its target.

    Args:
      images, targets: as for `encode`, equally many.

    Raises:
      UserError: bad images, numbers that differ.
    """
    x, y, single = self._pairs(images, targets)
    probabilities = self._call('retrieve', x, y)['probabilities']
    return Ranked(_strip(probabilities, single), self.action_names)

  def _pairs(self, images: Any, targets: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    x, single = as_images(images, self.facts.image_shape)
    y, _ = as_images(targets, self.facts.image_shape, 'targets')
    if len(x) != len(y):
      raise UserError(f'{len(x)} images for {len(y)} targets; expected equally many.')
    return x, y, single

  def _call(self, name: str, *arrays: np.ndarray) -> dict:
    return in_batches(self._functions[name], *arrays, largest=self.facts.largest_batch)

  def __repr__(self) -> str:
    f = self.facts
    size = 'x'.join(map(str, f.image_shape))
    return (f'<cvq {type(self).__name__}: {f.dataset}, step {f.step:,}, seed {f.seed}; '
            f'images {size}; {f.variables} variables: {f.codebooks} codebooks of {f.codes} codes '
            f'on a {f.grid[0]}x{f.grid[1]} grid; {len(f.action_names)} actions: '
            f'{", ".join(f.action_names)}>')


def in_batches(function: Callable[..., dict], *arrays: np.ndarray, largest: int) -> dict:
  """A function of any number of rows, called with 1, 2, 4, ... or `largest` rows at a time.

  Args:
    function: from arrays [b, ...] to a dict of arrays [b, ...], each row on its own.
    arrays: [n, ...] each; n may be 0. largest: a power of two.

  Returns:
    dict of NumPy arrays [n, ...].
  """
  n = len(arrays[0])
  parts = []
  for start in range(0, max(n, 1), largest):
    rows = [array[start:start + largest] for array in arrays]
    size = len(rows[0])
    bucket = 1 << max(size - 1, 0).bit_length()
    padded = [np.concatenate([row, np.zeros((bucket - size, *row.shape[1:]), row.dtype)])
              for row in rows]
    parts.append({name: np.asarray(value)[:size] for name, value in function(*padded).items()})
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _strip(array: np.ndarray, single: bool) -> np.ndarray:
  return array[0] if single else array
