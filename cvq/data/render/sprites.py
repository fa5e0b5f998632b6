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

_BLOCK = 64                    # images composed at once: what they need stays in the CPU's cache


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
    base, *others = [(cells[below], cells[above])
                     for below, above in zip(LAYERS[::2], LAYERS[1::2])]
    self._base = np.ascontiguousarray(_pairs(*base)[:, 1])
    self._stencils = [_Stencil(*other) for other in others]

  def compose(self, values: np.ndarray, pose: np.ndarray, out: np.ndarray | None = None
              ) -> np.ndarray:
    """Images, uint8 [n, 64, 64, 3]; in `out`, if there is one.

    Args:
      values: [6, n] int, of each of LAYERS. pose: [n] int. out: uint8 [n, 64, 64, 3].
    """
    if out is None:
      out = np.empty((pose.size, CELL, CELL, 3), np.uint8)
    pair = values[::2] * self._sizes[1::2, None] + values[1::2]
    number = pair * POSES + pose                       # [3, n]
    images = out.reshape(pose.size, CELL * CELL * 3)
    for start in range(0, pose.size, _BLOCK):
      block = slice(start, start + _BLOCK)
      # Numbers are in range; with another mode, NumPy would copy once more to make sure.
      self._base.take(number[0, block], axis=0, out=images[block], mode='clip')
      for stencil, chosen in zip(self._stencils, number[1:, block]):
        stencil.apply(images[block], chosen)
    return out


class _Stencil:
  """Two layers that cover others, within the rows that all their cells share.

  Rows are kept whole: then they lie side by side, which outweighs the empty columns.

  Args:
    below, above: uint8 [values, POSES, 64, 64, 4], RGBA.
  """

  def __init__(self, below: np.ndarray, above: np.ndarray):
    used = np.flatnonzero(np.any(
        [(layer[..., 3] > OPAQUE).any((0, 1, 3)) for layer in (below, above)], axis=0))
    rows = slice(used[0], used[-1] + 1) if used.size else slice(0, 0)
    self._pixels = slice(CELL * 3 * rows.start, CELL * 3 * rows.stop)
    self._table = _pairs(below[:, :, rows], above[:, :, rows])

  def apply(self, images: np.ndarray, number: np.ndarray) -> None:
    """Draws cells over images, in place. images: [n, 64 * 64 * 3] uint8. number: [n] int."""
    under = images[:, self._pixels]
    cells = self._table.take(number, axis=0)
    under &= cells[:, 0]
    under |= cells[:, 1]


def _pairs(below: np.ndarray, above: np.ndarray) -> np.ndarray:
  """Every value of one layer under every value of another, in every pose.

  Args:
    below, above: uint8 [v, POSES, H, 64, 4] and [w, POSES, H, 64, 4], RGBA.

  Returns:
    uint8 [v w POSES, 2, H * 64 * 3]: bits of what is under both that stay, bits that are added.
  """
  (lower_stays, lower), (upper_stays, upper) = _bits(below), _bits(above)
  values, poses, size = upper.shape
  table = np.empty((len(below), values, poses, 2, size), np.uint8)
  np.bitwise_and(lower_stays[:, None], upper_stays, out=table[..., 0, :])
  np.bitwise_and(lower[:, None], upper_stays, out=table[..., 1, :])
  table[..., 1, :] |= upper
  return table.reshape(len(below) * values * poses, 2, size)


def _bits(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Of [v, POSES, H, 64, 4]: bits that stay and that are added, uint8 [v, POSES, H * 64 * 3]."""
  stays = np.repeat(np.where(cells[..., 3] > OPAQUE, np.uint8(0), np.uint8(255)), 3, axis=-1)
  stays = stays.reshape(*cells.shape[:2], cells.shape[2] * CELL * 3)
  return stays, cells[..., :3].reshape(stays.shape) & ~stays
