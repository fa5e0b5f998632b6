"""The kinds of charts of the report, each on plain values and returning an `Svg`.

They are drawn at the size at which they are read: one unit is one CSS pixel.
"""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from cvq.report import svg
from cvq.report.svg import Svg

Series = tuple[str, Sequence[float], Sequence[float]]      # name, x, y
_KINDS = ('one', 'two', 'dash')                            # looks of the first, second, third


def lines(series: Sequence[Series], *, x_label: str, y_label: str, from_zero: bool = False,
          x_names: Sequence[str] = (), width: int = 340, height: int = 216) -> Svg:
  """Curves on shared axes, each named at the top in its colour.

  The y axis is logarithmic where all values are positive and span more than a factor of 30.

  Args:
    series: at most three. x_label, y_label: with units. from_zero: y begins at 0.
    x_names: of x = 0, 1, ..., which are places then and no numbers.
  """
  page = Svg(width, height)
  xs = range(len(x_names)) if x_names else [x for _, points, _ in series for x in points]
  x_low, x_high = min(xs), max(max(xs), min(xs) + 1)
  x_ticks = dict(enumerate(x_names)) or {
      tick: f'{tick:,g}' for tick in _ticks(x_low, x_high) if x_low <= tick <= x_high}
  longest = max(map(len, x_ticks.values()), default=0)         # half of a label may stand out
  right, top, bottom = width - max(10, 3.5 * longest), 34, height - 40
  ys = [y for _, _, points in series for y in points]
  log = not from_zero and min(ys) > 0 and max(ys) / min(ys) > 30
  ticks = _powers(min(ys), max(ys)) if log else _ticks(0. if from_zero else min(ys), max(ys))
  scale = np.log10 if log else np.asarray
  left = 28 + 6 * max(4, *(len(f'{tick:g}') for tick in ticks))
  y_low, y_high = scale(min(ticks[0], *ys, 0. if from_zero else ticks[0])), scale(
      max(ticks[-1], *ys))
  to_x = lambda x: left + (x - x_low) / (x_high - x_low) * (right - left)
  to_y = lambda y: bottom - (scale(y) - y_low) / ((y_high - y_low) or 1) * (bottom - top)
  for tick in ticks:
    page.line(left, to_y(tick), right, to_y(tick))
    page.text(left - 8, to_y(tick) + 4, f'{tick:g}', anchor='end', size=11)
  for tick, label in x_ticks.items():
    page.text(to_x(tick), bottom + 16, label, anchor='middle', size=11)
  page.text((left + right) / 2, height - 6, x_label, anchor='middle', size=11)
  page.text(12, (top + bottom) / 2, y_label, anchor='middle', size=11, turn=-90)
  place = float(left)
  for (name, x, y), kind in zip(series, _KINDS):
    points = [(to_x(a), to_y(b)) for a, b in zip(x, y)]
    page.path(points, kind)
    for a, b in points if x_names else ():
      page.dot(a, b, 3.5, kind)
    page.text(place, 18, name, kind=f'{kind}-text')
    place += 7.2 * len(name) + 16
  return page


def matrix(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, row_label: str,
           column_label: str, limit: float = 1., cell: int = 42) -> Svg:
  """A matrix [r, c] with its numbers: from nothing at 0 to full colour at `limit`."""
  values = np.asarray(values, np.float64)
  tall = max(22, min(cell, 34))
  left = 34 + 7 * max(map(len, rows))
  top = 40 + 5.2 * max(map(len, columns))
  page = Svg(left + cell * len(columns) + 5.5 * max(map(len, columns)) * .7 + 8,
             top + tall * len(rows) + 8)
  page.text(left + cell * len(columns) / 2, 14, column_label, anchor='middle', size=11)
  page.text(12, top + tall * len(rows) / 2, row_label, anchor='middle', size=11, turn=-90)
  for j, name in enumerate(columns):
    page.text(left + (j + .5) * cell, top - 8, name, kind='ink', turn=-45)
  for i, name in enumerate(rows):
    y = top + i * tall
    page.text(left - 8, y + tall / 2 + 4, name, anchor='end', kind='ink')
    for j, value in enumerate(values[i]):
      share = min(value / limit, 1.)
      x = left + j * cell
      page.rectangle(x + 1, y + 1, cell - 2, tall - 2, kind='bar', opacity=.45)
      page.rectangle(x + 1, y + 1, cell - 2, tall - 2, kind='cell', opacity=share)
      if value >= .005:
        text = f'{value:.2f}'
        page.text(x + cell / 2, y + tall / 2 + 4, text[1:] if value < .995 else text,
                  anchor='middle', kind='on' if share > .55 else 'ink', size=11)
  return page


def reliability(confidence: Sequence[float | None], accuracy: Sequence[float | None],
                pairs: Sequence[int]) -> Svg:
  """Accuracy over confidence, a dot for each bin with pairs, above how many pairs are where."""
  page = Svg(360, 400)
  left, right, top, bottom, floor = 52, 348, 16, 286, 356
  to_x = lambda v: left + v * (right - left)
  to_y = lambda v: bottom - v * (bottom - top)
  for tick in (0, .25, .5, .75, 1):
    page.line(left, to_y(tick), right, to_y(tick))
    page.text(left - 8, to_y(tick) + 4, f'{tick:g}', anchor='end', size=11)
    page.text(to_x(tick), floor + 16, f'{tick:g}', anchor='middle', size=11)
  page.line(to_x(0), to_y(0), to_x(1), to_y(1), 'dash')
  most = max(pairs)
  width = (right - left) / len(pairs)
  page.line(left, floor, right, floor)
  for i, count in enumerate(pairs):
    tall = (floor - bottom - 18) * count / most
    page.rectangle(left + i * width + 1, floor - tall, width - 2, tall, kind='cell', opacity=.45)
  for x, y in zip(confidence, accuracy):
    if x is not None and y is not None:
      page.dot(to_x(x), to_y(y), 4)
  page.text((left + right) / 2, 394, 'confidence: probability of the retrieved action',
            anchor='middle', size=11)
  page.text(12, (top + bottom) / 2, 'accuracy: share that is right', anchor='middle', size=11,
            turn=-90)
  page.text(left - 8, floor - 8, 'pairs', anchor='end', size=11)
  return page


def maps(groups: Sequence[tuple[str, Sequence[np.ndarray]]], names: Sequence[str], *,
         row_label: str, column_label: str, limit: float, side: int = 132) -> Svg:
  """Small heat maps: a line of them for each group (label, matrices [h, w]), one colour scale.

  Args:
    names: above the matrices of the first group. limit: value of full colour.
  """
  gap, left, top = 16, 96, 30
  across = len(names)
  page = Svg(left + across * (side + gap) + 64, top + len(groups) * (side + gap) + 34)
  for j, name in enumerate(names):
    page.text(left + j * (side + gap) + side / 2, top - 10, name, anchor='middle', kind='ink')
  for i, (label, matrices) in enumerate(groups):
    y = top + i * (side + gap)
    for line, part in enumerate(label.split('\n')):
      page.text(0, y + 14 + 15 * line, part, kind='' if line else 'ink')
    page.text(left - 10, y + side / 2, row_label, anchor='middle', size=11, turn=-90)
    for j, values in enumerate(matrices):
      x = left + j * (side + gap)
      page.image(x, y, side, side, svg.heat_uri(values, limit))
      page.rectangle(x, y, side, side, kind='hair')
  low = top + len(groups) * (side + gap)
  page.text(left + side / 2, low + 2, column_label, anchor='middle', size=11)
  _scale(page, left + across * (side + gap) + 6, top, side, limit)
  return page


def strips(rows: Sequence[tuple[str, Sequence[tuple[str, Sequence[np.ndarray | None]]]]],
           columns: Sequence[str], *, side: int = 64, blank: str = 'end of range',
           captions: Sequence[Sequence[str]] = ()) -> Svg:
  """Bands of images: for each (label, lines), lines of images [H, W, C] under named columns.

  Each line is (its name, images), None where there is no image.

  Args:
    blank: written where the images of a line end.
    captions: for each band, words above its columns.
  """
  gap, left, top = 6, 150, 30
  above = 14 if captions else 0
  band = max(len(lines_) for _, lines_ in rows) * (side + gap) + 14 + above
  page = Svg(left + len(columns) * (side + gap), top + len(rows) * band)
  for j, name in enumerate(columns):
    page.text(left + j * (side + gap) + side / 2, top - 12, name, anchor='middle', size=11)
  for i, (label, band_lines) in enumerate(rows):
    for j, words in enumerate(captions[i] if captions else ()):
      page.text(left + j * (side + gap) + side / 2, top + i * band + 9, words, anchor='middle',
                kind='ink', size=9.5)
    for line, (name, images) in enumerate(band_lines):
      y = top + i * band + above + line * (side + gap)
      if not line:
        page.text(0, y + side / 2 + 4, label, kind='ink')
      page.text(left - 10, y + side / 2 + 4, name, anchor='end', size=11)
      blanks = [j for j, image in enumerate(images) if image is None]
      for j, image in enumerate(images):
        x = left + j * (side + gap)
        if image is not None:
          page.image(x, y, side, side, svg.image_uri(image))
          page.rectangle(x, y, side, side, kind='hair')
      if blanks and line:
        page.text(left + blanks[0] * (side + gap) + 6, y + side / 2 + 4, blank, size=11)
  return page


def _scale(page: Svg, x: float, y: float, height: float, limit: float) -> None:
  """A colour bar from 0 below to `limit` above."""
  ramp = np.linspace(limit, 0, 64)[:, None]
  page.image(x, y, 10, height, svg.heat_uri(ramp, limit))
  page.rectangle(x, y, 10, height, kind='hair')
  page.text(x + 16, y + 10, f'{limit:.2g}', size=11)
  page.text(x + 16, y + height, '0', size=11)


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
  """Round numbers that span [low, high]; about `count` of them."""
  span = (high - low) or abs(high) or 1.
  rough = span / count
  step = 10. ** math.floor(math.log10(rough))
  step *= next(m for m in (1, 2, 5, 10) if m * step >= rough)
  first = math.floor(low / step + 1e-9)
  last = max(math.ceil(high / step - 1e-9), first + 1)
  return [float(f'{i * step:.10g}') for i in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
  """Powers of ten around [low, high], at most six."""
  first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
  return [10. ** e for e in range(first, last + 1, math.ceil((last - first) / 5))]
