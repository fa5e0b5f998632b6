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

  Args:
    cells: of each layer: uint8 [values, POSES, 64, 64, 4], RGBA.
  """

  def __init__(self, cells: Mapping[str, np.ndarray]):
    self._bodies = _colours(cells[LAYERS[0]])[1].reshape(-1, CELL, 3 * CELL)
    self._stencils = [_Stencil(cells[layer]) for layer in LAYERS[1:]]

  @property
  def num_bytes(self) -> int:
    """Memory that the layers take."""
    return self._bodies.nbytes + sum(stencil.table.nbytes for stencil in self._stencils)

  def compose(self, values: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Images, uint8 [n, 64, 64, 3]. values: [6, n] int, of each of LAYERS. pose: [n] int."""
    number = values * POSES + pose                     # [6, n]
    images = np.empty((pose.size, CELL, 3 * CELL), np.uint8)
    for start in range(0, pose.size, _BLOCK):
      block = slice(start, start + _BLOCK)
      images[block] = self._bodies[number[0, block]]
      for stencil, chosen in zip(self._stencils, number[1:, block]):
        stencil.apply(images[block], chosen)
    return images.reshape(-1, CELL, CELL, 3)


class _Stencil:
  """A layer that covers others, within the box that all its cells share."""

  def __init__(self, cells: np.ndarray):
    covers, colours = _colours(cells)
    self._rows, columns = _span(covers.any((0, 1, 3))), _span(covers.any((0, 1, 2)))
    self._columns = slice(3 * columns.start, 3 * columns.stop)
    # For each cell: bits of what is below that stay, and bits that are added.
    stay = np.broadcast_to(np.where(covers, np.uint8(0), np.uint8(255))[..., None], colours.shape)
    table = np.stack([part[:, :, self._rows, columns] for part in (stay, colours)], axis=2)
    values, poses, _, height, width, _ = table.shape
    self.table = table.reshape(values * poses, 2, height, 3 * width)

  def apply(self, images: np.ndarray, number: np.ndarray) -> None:
    """Draws cells over images, in place. images: [n, 64, 3 * 64] uint8. number: [n] int."""
    below = images[:, self._rows, self._columns]
    layer = self.table[number]
    below &= layer[:, 0]
    below |= layer[:, 1]


def _colours(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Where cells cover, bool [v, p, 64, 64], and their colours there, else 0: [v, p, 64, 64, 3]."""
  covers = cells[..., 3] > OPAQUE
  return covers, cells[..., :3] * covers[..., None]


def _span(used: np.ndarray) -> slice:
  """From the first true element to the last."""
  places = np.flatnonzero(used)
  return slice(places[0], places[-1] + 1) if places.size else slice(0, 0)
