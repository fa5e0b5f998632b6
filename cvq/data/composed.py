"""Images composed at reading time: the colours of a picture change, its geometry is stored."""

from __future__ import annotations

import math

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.images import Images

_CHUNK = 16                                            # images composed at once: they fit a cache


class ComposedImages(Images):
  """Images that are a constant plus layers, each of a colour times its share of a pixel.

  The first L factors of the space are the colours of the L layers; the others, in their order, are
  the geometry. Layers are coloured once in all hues, so that reading an image is L additions; of a
  layer, only the rows are kept in which it appears.

  Args:
    space: [L colours, ..., geometry].
    palette: [hues, 3] uint8, colours of every layer.
    shares: [G, H, W, L] uint8, 255 for a pixel that is all of a layer and fully lit.
    constant: [G, H, W, 3] uint8. It and the shares of a pixel add to at most 255.
  """

  def __init__(self, space: FactorSpace, palette: np.ndarray, shares: np.ndarray,
               constant: np.ndarray):
    geometries, *_, layers = shares.shape
    if (math.prod(space.sizes[layers:]) != geometries or constant.shape[0] != geometries
        or set(space.sizes[:layers]) != {len(palette)}):
      raise ValueError(f'{shares.shape} shares and {len(palette)} hues do not fill {space.sizes}')
    if (shares.sum(-1, dtype=np.uint16)[..., None] + constant).max() > 255:
      raise ValueError('shares and constant add to more than 255')
    self.space, self.image_shape, self._constant = space, constant.shape[1:], constant
    self._hues = len(palette)
    self._layers = [_coloured(shares[..., layer], palette) for layer in range(layers)]

  def read(self, index: np.ndarray) -> np.ndarray:
    colours, geometry = np.divmod(np.asarray(index), len(self._constant))
    images = np.empty((len(geometry), *self.image_shape), np.uint8)
    # Of each layer, which of its coloured pictures; the first colour is the slowest factor.
    pictures = []
    for _ in self._layers:
      colours, hue = np.divmod(colours, self._hues)
      pictures.insert(0, geometry * self._hues + hue)
    for start in range(0, len(images), _CHUNK):
      some = slice(start, start + _CHUNK)
      images[some] = self._constant[geometry[some]]
      for (rows, table), picture in zip(self._layers, pictures):
        images[some, rows] += table[picture[some]]
    return images


def _coloured(share: np.ndarray, palette: np.ndarray) -> tuple[slice, np.ndarray]:
  """A layer in all hues. share: [G, H, W]. Returns (rows, uint8 [G * hues, rows, W, 3])."""
  used = np.flatnonzero(share.any((0, 2)))
  rows = slice(used[0], used[-1] + 1)
  share = share[:, rows]
  table = np.empty((len(share), len(palette), *share.shape[1:], 3), np.uint8)
  for hue, colour in enumerate(palette):
    for channel, value in enumerate(colour):           # few values: products are looked up
      products = np.rint(np.arange(256) * (value / 255.)).astype(np.uint8)
      table[:, hue, ..., channel] = products[share]
  return rows, table.reshape(-1, *table.shape[2:])
