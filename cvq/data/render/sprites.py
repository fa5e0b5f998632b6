"""Sprites composed here: characters of the Liberated Pixel Cup (LPC), layer over layer.

A sheet shows one value of one layer (a pair of shoes, say) in every pose, in cells of 64 x 64: 13
columns of frames and 21 rows of actions and directions. Pixels are combined as published (Li and
Mandt 2018): on black, one layer over the other.
"""

from __future__ import annotations

from typing import Mapping

import numpy as np

CELL = 64
COLUMNS, ROWS = 13, 21
ACTIONS = ('spellcast', 'thrust', 'walk', 'slash', 'shoot')
DIRECTIONS = ('back', 'left', 'front', 'right')        # rows of an action, from the top
ROTATIONS = DIRECTIONS[1:]                             # from behind, eyes are not to be seen
FRAMES = 6                                             # all that the shortest action, slash, has
POSES = len(ACTIONS) * len(ROTATIONS) * FRAMES
LAYERS = ('body', 'shoes', 'bottomwear', 'topwear', 'eyes', 'hair')     # from the bottom up
OPAQUE = 128                                           # alpha over this covers what is below

_BLOCK = 32                    # images composed at once: what they need stays in the CPU's cache


def cut(sheet: np.ndarray) -> np.ndarray:
  """Cells of a sheet: [21 * 64, 13 * 64, 4] -> [POSES, 64, 64, 4], frame fastest, then rotation."""
  cells = sheet[:len(ACTIONS) * len(DIRECTIONS) * CELL].reshape(
      len(ACTIONS), len(DIRECTIONS), CELL, COLUMNS, CELL, 4)
  return cells[:, 1:, :, :FRAMES].swapaxes(2, 3).reshape(POSES, CELL, CELL, 4)


class Composer:
  """Characters in any combination of layers and pose.

  Layers are combined two and two beforehand, in all pairs of their values, so that composing an
  image copies one picture and draws two over it.

  Args:
    cells: of each layer: uint8 [values, POSES, 64, 64, 4], RGBA.
  """

  def __init__(self, cells: Mapping[str, np.ndarray]):
    self._sizes = np.asarray([len(cells[layer]) for layer in LAYERS])
    pairs = [_pair(cells[below], cells[above]) for below, above in zip(LAYERS[::2], LAYERS[1::2])]
    self._base = pairs[0][1].reshape(-1, CELL * CELL * 3)
    self._stencils = [_Stencil(*pair) for pair in pairs[1:]]

  def compose(self, values: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Images, uint8 [n, 64, 64, 3]. values: [6, n] int, of each of LAYERS. pose: [n] int."""
    pair = values[::2] * self._sizes[1::2, None] + values[1::2]
    number = pair * POSES + pose                       # [3, n]
    images = np.empty((pose.size, CELL * CELL * 3), np.uint8)
    for start in range(0, pose.size, _BLOCK):
      block = slice(start, start + _BLOCK)
      # Numbers are in range; with another mode, NumPy would copy once more to make sure.
      self._base.take(number[0, block], axis=0, out=images[block], mode='clip')
      for stencil, chosen in zip(self._stencils, number[1:, block]):
        stencil.apply(images[block], chosen)
    return images.reshape(-1, CELL, CELL, 3)


class _Stencil:
  """Cells that cover others, within the rows that all of them share.

  Rows are kept whole: then they lie side by side, which outweighs the empty columns.

  Args:
    covers: bool [n, 64, 64]. colours: uint8 [n, 64, 64, 3], 0 where nothing is covered.
  """

  def __init__(self, covers: np.ndarray, colours: np.ndarray):
    used = np.flatnonzero(covers.any((0, 2)))
    rows = slice(used[0], used[-1] + 1) if used.size else slice(0, 0)
    self._pixels = slice(CELL * 3 * rows.start, CELL * 3 * rows.stop)
    # For each cell: bits of what is below that stay, and bits that are added.
    self.table = np.empty((len(covers), 2, rows.stop - rows.start, CELL, 3), np.uint8)
    self.table[:, 0] = np.where(covers[:, rows], np.uint8(0), np.uint8(255))[..., None]
    self.table[:, 1] = colours[:, rows]
    self.table = self.table.reshape(len(covers), 2, -1)

  def apply(self, images: np.ndarray, number: np.ndarray) -> None:
    """Draws cells over images, in place. images: [n, 64 * 64 * 3] uint8. number: [n] int."""
    below = images[:, self._pixels]
    cells = self.table.take(number, axis=0)
    below &= cells[:, 0]
    below |= cells[:, 1]


def _pair(below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Every value of one layer below every value of another, in every pose; the pose is fastest.

  Args:
    below, above: uint8 [v, POSES, 64, 64, 4] and [w, POSES, 64, 64, 4], RGBA.

  Returns:
    (where they cover, bool [v w POSES, 64, 64]; their colours there, else 0: [v w POSES, 64, 64,
    3]).
  """
  lower, upper = below[:, None, ..., 3] > OPAQUE, above[..., 3] > OPAQUE
  colours = np.where(upper[..., None], above[..., :3],
                     below[:, None, ..., :3] * lower[..., None])
  return ((lower | upper).reshape(-1, CELL, CELL), colours.reshape(-1, CELL, CELL, 3))
