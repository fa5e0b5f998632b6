"""Pictures of a dataset: what its factors do, what a transition looks like, how often values come.

Each function returns uint8 [height, width, 3]; see `cvq.pictures`.
"""

from __future__ import annotations

import math
from typing import Sequence

from matplotlib.figure import Figure
import numpy as np

from cvq.data.hashing import below, hash64
from cvq.data.images import Images
from cvq.pictures import (
    CELL, DPI, EDGE, GAP, GROUND, INK, LABEL, QUIET, SMALL, TITLE, Page, rasterise, unit)

COLUMNS = 10
_BAR, _ASKED = '#0969da', '#fb8500'


def traversals(images: Images, *, seed: int = 0, title: str = 'What each factor does'
               ) -> np.ndarray:
  """A row for each factor: an image with this factor going through its values.

  Where images are a sample of the combinations, nothing else can be kept: the row shows any
  images that have the value.
  """
  space, pitch = images.space, CELL + GAP
  columns = min(COLUMNS, max(space.sizes)) if images.combination is None else COLUMNS
  left, top, row = EDGE + 210, EDGE + 100, CELL + GAP + 34
  note = ('one image, one factor changed at a time' if images.combination is None else
          'images that have the value; each shows another scene')
  page = Page(left + columns * pitch - GAP + EDGE, top + space.num_factors * row + EDGE,
              title, note)
  for f, factor in enumerate(space.factors):
    y = top + f * row
    index, value = _examples(images, f, columns, seed)
    page.text(factor.name, left - 18, y + CELL / 2 - 14, ha='right')
    page.text(f'{factor.size} values', left - 18, y + CELL / 2 + 16, ha='right', size=SMALL,
              color=QUIET)
    for column, image in enumerate(images.read(index)):
      page.image(unit(image), left + column * pitch, y)
      page.text(space.value_names(f)[value[column]], left + column * pitch + CELL / 2,
                y + CELL + 16, size=SMALL, color=QUIET)
  return page.draw()


def transitions(images: Images, source: np.ndarray, target: np.ndarray, action: np.ndarray, *,
                rows: int = 3, title: str = 'Transitions') -> np.ndarray:
  """x above y for some transitions of every action, a column an action.

  Args:
    images: of the dataset.
    source, target, action: [n] int; the first `rows` of each action are shown.
  """
  names, pitch = images.space.action_names, CELL + GAP
  left, top, band = EDGE + 40, EDGE + 170, 2 * pitch + 2 * GAP
  page = Page(left + len(names) * pitch - GAP + EDGE, top + rows * band - 3 * GAP + EDGE, title,
              'each image above, and what the action makes of it')
  for a, name in enumerate(names):
    for line, text in enumerate((name[-2:], name[:-2])):
      page.text(_short(text), left + a * pitch + CELL / 2, top - 16 - 28 * line, va='baseline',
                size=SMALL)
    mine = np.flatnonzero(action == a)[:rows]
    for i, (x, y) in enumerate(zip(images.read(source[mine]), images.read(target[mine]))):
      page.image(unit(x), left + a * pitch, top + i * band)
      page.image(unit(y), left + a * pitch, top + i * band + pitch)
  for i in range(rows):
    for row, text in enumerate(('x', 'y')):
      page.text(text, left - 18, top + i * band + row * pitch + CELL / 2, ha='right')
  return page.draw()


def histograms(counts: Sequence[np.ndarray], names: Sequence[str], *,
               asked: Sequence[np.ndarray | None], title: str) -> np.ndarray:
  """Shares of the values of each factor, one panel a factor.

  Args:
    counts: for each panel, [size] how often each value came. names: of the panels.
    asked: for each panel, [size] probabilities that were asked for, drawn as a line; or None.
  """
  across = min(4, len(names))
  down = math.ceil(len(names) / across)
  width, height, gap, top = 380, 200, 100, EDGE + 110
  size = (EDGE + 60 + across * (width + gap), top + down * (height + gap))
  figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor=GROUND)
  figure.text(EDGE / size[0], 1 - (EDGE + 16) / size[1], title, va='center', fontsize=TITLE,
              color=INK, weight='bold')
  for i, (count, name, line) in enumerate(zip(counts, names, asked)):
    x, y = EDGE + 70 + i % across * (width + gap), top + i // across * (height + gap)
    axes = figure.add_axes((x / size[0], 1 - (y + height) / size[1], width / size[0],
                            height / size[1]))
    share = np.asarray(count) / max(np.sum(count), 1)
    axes.bar(np.arange(share.size), share, color=_BAR, width=.8)
    if line is not None:
      axes.plot(np.arange(share.size), line, color=_ASKED, linewidth=1.5, marker='o',
                markersize=3, label='asked for')
      axes.legend(frameon=False, fontsize=SMALL, labelcolor=QUIET)
    axes.set_title(name, fontsize=LABEL, color=INK, pad=6)
    axes.set_ylim(0, None)
    axes.tick_params(labelsize=SMALL, colors=QUIET, length=3)
    if i % across == 0:
      axes.set_ylabel('share', fontsize=LABEL, color=INK)
    for side, spine in axes.spines.items():
      spine.set(color='#d0d7de', linewidth=.75, visible=side in ('left', 'bottom'))
  return rasterise(figure)


def _examples(images: Images, factor: int, columns: int, seed: int
              ) -> tuple[np.ndarray, np.ndarray]:
  """Images that show a factor's values, and the values: two arrays of at most `columns`.

  A value with few images shows them again, one without any is left out.
  """
  space = images.space
  size = space.sizes[factor]
  if images.combination is None:
    value = np.unique(np.linspace(0, size - 1, min(columns, size)).round().astype(int))
    base = space.to_factors(below(hash64(seed, np.arange(1)), space.num_images))
    factors = np.repeat(base, value.size, axis=0)
    factors[:, factor] = value
    return space.to_index(factors), value
  every = images.factors(np.arange(images.num_images))[:, factor]
  value = np.arange(columns) * size // columns
  value = value[np.isin(value, every)]
  index = np.zeros(value.size, np.int64)
  for v in np.unique(value):
    pool = np.flatnonzero(every == v)
    mine = np.flatnonzero(value == v)
    index[mine] = np.resize(pool[np.argsort(hash64(seed, factor, pool))], mine.size)
  return index, value


def _short(name: str) -> str:
  return name if len(name) <= 13 else f'{name[:11]}…'
