"""Images composed at reading time: the colours of a picture change, its geometry is stored."""

from __future__ import annotations

import math

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.images import Images

_CHUNK = 64                                            # images composed at once: they fit a cache


class ComposedImages(Images):
  """Images that are a constant plus layers, each of a colour times its share of a pixel.

  The first L factors of the space are the colours of the L layers; the others, in their order, are
  the geometry. Layers are coloured once in all hues, and the constant is added to the last of them,
  so that reading an image copies one layer and adds the others, each in the rows where it appears.

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
    self.space, self.image_shape = space, constant.shape[1:]
    self._geometries, self._hues = geometries, len(palette)
    *self._above, (_, self._base) = [
        _coloured(shares[..., layer], palette, constant if layer == layers - 1 else None)
        for layer in range(layers)]

  def read(self, index: np.ndarray) -> np.ndarray:
    images = np.empty((len(index), *self.image_shape), np.uint8)
    self.read_into(index, images)
    return images

  def read_into(self, index: np.ndarray, out: np.ndarray) -> None:
    colours, geometry = np.divmod(np.asarray(index), self._geometries)
    # Of each layer, which of its coloured pictures; the first colour is the slowest factor.
    pictures = []
    for _ in range(len(self._above) + 1):
      colours, hue = np.divmod(colours, self._hues)
      pictures.insert(0, geometry * self._hues + hue)
    images = out.reshape(len(out), math.prod(self.image_shape))
    for start in range(0, len(images), _CHUNK):
      some = slice(start, start + _CHUNK)
      # Numbers are in range; with another mode, NumPy would copy once more to make sure.
      self._base.take(pictures[-1][some], axis=0, out=images[some], mode='clip')
      for (pixels, table), picture in zip(self._above, pictures):
        images[some, pixels] += table.take(picture[some], axis=0)


def _coloured(share: np.ndarray, palette: np.ndarray, constant: np.ndarray | None
              ) -> tuple[slice, np.ndarray]:
  """A layer in all hues, in the rows where it appears, or whole and with a constant added.

  Args:
    share: [G, H, W] uint8. palette: [hues, 3] uint8. constant: [G, H, W, 3] uint8 or None.

  Returns:
    (pixels, a part of 0 .. 3 H W; uint8 [G * hues, pixels]).
  """
  height, width = share.shape[1:]
  used = np.flatnonzero(share.any((0, 2))) if constant is None else np.arange(height)
  rows = slice(used[0], used[-1] + 1)
  share = share[:, rows]
  table = np.empty((len(share), len(palette), *share.shape[1:], 3), np.uint8)
  for hue, colour in enumerate(palette):
    for channel, value in enumerate(colour):           # few values: products are looked up
      products = np.rint(np.arange(256) * (value / 255.)).astype(np.uint8)
      table[:, hue, ..., channel] = products[share]
  if constant is not None:
    table += constant[:, None]
  return (slice(3 * width * rows.start, 3 * width * rows.stop),
          table.reshape(len(share) * len(palette), -1))
