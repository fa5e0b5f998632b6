"""dSprites drawn here: square, ellipse and heart, filled, without antialiasing.

Factors and their values as in the published set (Matthey et al. 2017): scale linspace(.5, 1, 6),
orientation linspace(0, 2 pi, 40) with both ends, so that the first and the last are the same
angle. A sprite is sampled at pixel centres in a window that it never leaves at any orientation;
32 positions, one pixel apart, take the window from edge to edge of the 64 x 64 frame.
"""

from __future__ import annotations

import numpy as np

SHAPES = ('square', 'ellipse', 'heart')
SCALES = np.linspace(.5, 1, 6)
ORIENTATIONS = np.linspace(0, 2 * np.pi, 40)
POSITIONS = 32
FRAME = 64
WINDOW = FRAME - POSITIONS + 1

# At scale 1, in pixels: equal areas, and all within WINDOW / 2 of the centre.
_SQUARE_SIDE = 23.
_ELLIPSE_AXES = (16.2, _SQUARE_SIDE**2 / (16.2 * np.pi))
_HEART_LOBE = _SQUARE_SIDE / np.sqrt(4 + np.pi)        # radius of its two round halves
# Height of the centre of the smallest circle around a heart of unit lobes: as far from the tip,
# sqrt(2) - c, as from the far side of a lobe, 1 + |(sqrt(1/2), c + sqrt(1/2))|.
_HEART_CENTRE = (2 - 2 * np.sqrt(2)) / (3 * np.sqrt(2) - 2)


def render_sprites() -> np.ndarray:
  """All sprites at all scales and orientations: bool [3, 6, 40, WINDOW, WINDOW], true inside.

  Orientation turns clockwise on the screen (rows count downwards); at 0 the square's sides and
  the ellipse's long axis are level, and the heart stands on its tip.
  """
  offset = np.arange(WINDOW) - WINDOW // 2
  row, column = np.meshgrid(offset, offset, indexing='ij')
  cosine, sine = (f(ORIENTATIONS)[:, None, None] for f in (np.cos, np.sin))
  scale = SCALES[:, None, None, None]
  x = (column * cosine + row * sine) / scale           # the pixel in the sprite's own frame
  y = (row * cosine - column * sine) / scale           # [6, 40, WINDOW, WINDOW]
  return np.stack([_in_square(x, y), _in_ellipse(x, y), _in_heart(x, y)])


def _in_square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  return np.maximum(abs(x), abs(y)) < _SQUARE_SIDE / 2


def _in_ellipse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  a, b = _ELLIPSE_AXES
  return (x / a)**2 + (y / b)**2 < 1


def _in_heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """A square on its corner with a half-disc on each upper side."""
  x, y = abs(x) / _HEART_LOBE, y / _HEART_LOBE + _HEART_CENTRE
  lobe = (x - np.sqrt(.5))**2 + (y + np.sqrt(.5))**2 < 1
  return (x + abs(y) < np.sqrt(2)) | lobe
