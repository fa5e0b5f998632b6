"""A small SVG page that follows the reader's light or dark scheme, and images as data URIs."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from PIL import Image

BLUE = (47, 111, 176)               # of heat maps; its opacity tells the value on either ground

_LIGHT = {'ink': '#1c2430', 'quiet': '#5f6b7a', 'hair': '#e3e7ec', 'one': '#2f6fb0',
          'two': '#c8650a', 'ground': '#ffffff'}
_DARK = {'ink': '#e6e9ee', 'quiet': '#98a3b1', 'hair': '#2b323c', 'one': '#6fb1ec',
         'two': '#f0a04b', 'ground': '#12161c'}


def _rules(colours: dict[str, str]) -> str:
  c = colours
  return (f'text{{fill:{c["quiet"]}}}.ink{{fill:{c["ink"]}}}.on{{fill:#fff}}'
          f'.hair{{stroke:{c["hair"]};fill:none}}.axis{{stroke:{c["quiet"]};fill:none}}'
          f'.one{{stroke:{c["one"]};fill:none}}.two{{stroke:{c["two"]};fill:none}}'
          f'.one-dot{{fill:{c["one"]}}}.two-dot{{fill:{c["two"]}}}.dash-dot{{fill:{c["quiet"]}}}'
          f'.bar{{fill:{c["hair"]}}}.cell{{fill:{c["one"]}}}'
          f'.dash{{stroke:{c["quiet"]};stroke-dasharray:3 4;fill:none}}'
          f'.one-text{{fill:{c["one"]}}}.two-text{{fill:{c["two"]}}}')


_STYLE = ('<style>text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}'
          'image{image-rendering:pixelated}' + _rules(_LIGHT)
          # Print stays dark on light whatever the screen's scheme.
          + '@media screen and (prefers-color-scheme:dark){' + _rules(_DARK) + '}</style>')


class Svg:
  """Collects elements on a page of width x height CSS pixels."""

  def __init__(self, width: float, height: float):
    self.width, self.height = width, height
    self._parts: list[str] = []

  def text(self, x: float, y: float, text: str, *, anchor: str = 'start', kind: str = '',
           size: float = 12, turn: float = 0) -> None:
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ''
    self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}" '
                       f'style="font-size:{size:g}px"{turned}>{html.escape(text)}</text>')

  def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = 'hair') -> None:
    self._parts.append(
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

  def path(self, points: list[tuple[float, float]], kind: str) -> None:
    steps = ' '.join(f'{x:.1f},{y:.1f}' for x, y in points)
    self._parts.append(f'<polyline points="{steps}" class="{kind}" stroke-width="1.75" '
                       'stroke-linejoin="round" stroke-linecap="round"/>')

  def dot(self, x: float, y: float, radius: float, kind: str = 'one') -> None:
    self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{kind}-dot"/>')

  def rectangle(self, x: float, y: float, width: float, height: float, *, kind: str,
                opacity: float = 1.) -> None:
    self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                       f'class="{kind}" fill-opacity="{opacity:.3f}"/>')

  def image(self, x: float, y: float, width: float, height: float, uri: str) -> None:
    self._parts.append(f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                       f'height="{height:.1f}" href="{uri}" preserveAspectRatio="none"/>')

  def source(self) -> str:
    """The page as SVG."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:.0f}" '
            f'height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}">'
            f'{_STYLE}{"".join(self._parts)}</svg>')

  def uri(self) -> str:
    """The page as a data URI."""
    return 'data:image/svg+xml;base64,' + base64.b64encode(self.source().encode()).decode()


def png_uri(picture: np.ndarray) -> str:
  """uint8 [h, w, 1 | 3 | 4] as a PNG data URI."""
  picture = np.asarray(picture)
  stream = io.BytesIO()
  Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
      stream, format='PNG', optimize=True)
  return 'data:image/png;base64,' + base64.b64encode(stream.getvalue()).decode()


def image_uri(image: np.ndarray) -> str:
  """An image [H, W, C] in [0, 1] as a PNG data URI."""
  return png_uri(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))


def heat_uri(values: np.ndarray, limit: float) -> str:
  """A matrix [h, w] >= 0 as a PNG data URI, a pixel each: blue, opaque at `limit`."""
  alpha = np.clip(np.asarray(values, np.float64) / limit, 0, 1)
  colour = np.broadcast_to(np.asarray(BLUE, np.uint8), (*alpha.shape, 3))
  return png_uri(np.concatenate(
      [colour, np.round(alpha * 255).astype(np.uint8)[..., None]], axis=-1))
