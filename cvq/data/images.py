"""Images of a factor grid, read by index."""

from __future__ import annotations

import abc
import pathlib

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.errors import UserError


class Images(abc.ABC):
  """All images of a dataset. `read` may be called from several threads.

  Attributes:
    space: the factor grid.
    image_shape: (H, W, C).
    combination: [num_images] int64, where images are a sample of the grid's combinations rather
      than one for each: the combination of each image. None: image i is combination i.
    published_split: [num_images] int8, 0 train, 1 validation, 2 test, if published with one.
    folder: of the prepared data, if there is one.
  """
  space: FactorSpace
  image_shape: tuple[int, int, int]
  combination: np.ndarray | None = None
  published_split: np.ndarray | None = None
  folder: pathlib.Path | None = None

  @property
  def num_images(self) -> int:
    return self.space.num_images if self.combination is None else len(self.combination)

  def factors(self, index: np.ndarray) -> np.ndarray:
    """Factor values of images. index: [...] int. Returns [..., F] int32."""
    return self.space.to_factors(
        index if self.combination is None else self.combination[index])

  @abc.abstractmethod
  def read(self, index: np.ndarray) -> np.ndarray:
    """Images of indices. index: [n] int64. Returns [n, H, W, C] uint8, 0 to 255."""

  def read_into(self, index: np.ndarray, out: np.ndarray) -> None:
    """Writes images of indices. index: [n] int64. out: [n, H, W, C] uint8, contiguous."""
    out[:] = self.read(index)


class ArrayImages(Images):
  """Images held in memory. array: [num_images, H, W, C] uint8. combination: see `Images`."""

  def __init__(self, space: FactorSpace, array: np.ndarray, combination: np.ndarray | None = None):
    self.space, self.combination = space, combination
    if array.ndim != 4 or array.shape[0] != self.num_images or array.dtype != np.uint8:
      raise UserError(f'{array.dtype} {array.shape}: expected uint8 [{self.num_images}, H, W, C], '
                      'an image for each combination of factors, or for each of `combination`.')
    self.image_shape, self._array = array.shape[1:], array

  def read(self, index: np.ndarray) -> np.ndarray:
    return self._array[index]


class SpriteImages(Images):
  """Sprites placed on a dark frame; positions are composed at reading time.

  The last two factors of the space are the column and the row of the sprite's window: one pixel a
  step, from the left and top edge of the frame to the right and bottom one.

  Args:
    space: [..., P, P] positions.
    sprites: [num_images / P^2, S, S] uint8, in the order of the other factors.
  """

  def __init__(self, space: FactorSpace, sprites: np.ndarray):
    columns, rows = space.sizes[-2:]
    side = sprites.shape[-1]
    if sprites.shape != (space.num_images // (columns * rows), side, side):
      raise ValueError(f'Sprites of shape {sprites.shape} do not fill the space {space.sizes}')
    height, width = side + rows - 1, side + columns - 1
    self.space, self.image_shape = space, (height, width, 1)
    # Frames one after the other, each with a sprite in its bottom right corner. As margins are
    # empty, a frame's number of pixels, from any place in one, are the sprite moved up and left.
    frames = np.pad(sprites, ((0, 1), (rows - 1, 0), (columns - 1, 0)))
    starts = np.lib.stride_tricks.sliding_window_view(frames.reshape(-1), height * width)
    starts = starts[:-1].reshape(len(sprites), height, width, height * width)
    self._windows = starts[:, rows - 1::-1, columns - 1::-1]  # [sprite, row, column, pixel]

  def read(self, index: np.ndarray) -> np.ndarray:
    columns, rows = self.space.sizes[-2:]
    sprite, place = np.divmod(np.asarray(index), columns * rows)
    column, row = np.divmod(place, rows)
    return self._windows[sprite, row, column].reshape(-1, *self.image_shape)
