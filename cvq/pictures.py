"""Pictures of what a model does, drawn with matplotlib on a light ground.

Each function returns uint8 [height, width, 3], at twice the resolution of a web page: a README
shows it at half its pixels. Nothing here touches pyplot's global state.
"""

from __future__ import annotations

import math
import pathlib
from typing import Sequence

from matplotlib import collections, patches
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image

INK, QUIET, PALE, GROUND = '#1f2328', '#656d76', '#eaeef2', '#ffffff'
MARK = '#fb8500'                    # outline of changed patches
HEAT = 'Blues'
DPI = 144                           # a typographic point is two pixels
CELL, GAP = 128, 12                 # pixels of an image, and between images
EDGE = 28                           # pixels around everything
TITLE, LABEL, SMALL = 15, 11, 9.5   # points


def save(path: str | pathlib.Path, picture: np.ndarray) -> None:
  """Writes a picture, uint8 [height, width, 3], as PNG."""
  Image.fromarray(picture).save(path, format='PNG', optimize=True)


def reconstructions(
    x: np.ndarray, reconstruction: np.ndarray, *, title: str = 'Images and their reconstructions',
    columns: int = 12) -> np.ndarray:
  """Images above their reconstructions and the absolute error, `columns` side by side.

  Args:
    x: [n, H, W, C] uint8, or float in [0, 1]; C is 1 or 3. reconstruction: likewise.

  Returns:
    uint8 [height, width, 3].
  """
  x, reconstruction = unit(x), unit(reconstruction)
  n = len(x)
  columns = min(columns, n)
  bands = math.ceil(n / columns)
  left, top = 122, EDGE + 100
  band = 3 * (CELL + GAP) + 2 * GAP
  page = Page(left + columns * (CELL + GAP) - GAP + EDGE, top + bands * band - 3 * GAP + EDGE,
               title, f'mean squared error {np.square(x - reconstruction).mean():.2g}')
  error = np.abs(x - reconstruction).mean(-1, keepdims=True)
  for i in range(n):
    column, y = left + i % columns * (CELL + GAP), top + i // columns * band
    # The error is dark on light, so that it can't be taken for one more image.
    for row, image in enumerate((x[i], reconstruction[i], 1 - error[i])):
      page.image(image, column, y + row * (CELL + GAP))
  for b in range(bands):
    for row, name in enumerate(('image', 'model', 'error')):
      page.text(name, left - 18, top + b * band + row * (CELL + GAP) + CELL / 2, ha='right')
  return page.draw()


def interventions(
    x: np.ndarray,
    predictions: np.ndarray,
    truth: Sequence[Sequence[np.ndarray | None]],
    action_names: Sequence[str],
    *,
    changed: np.ndarray | None = None,
    title: str = 'What each action does to an image',
) -> np.ndarray:
  """x, the model's image after every action, and the true one below it.

  Args:
    x: [n, H, W, C] uint8, or float in [0, 1]; C is 1 or 3.
    predictions: [n, A, H, W, C] likewise.
    truth: [n, A, H, W, C], or nested sequences with None where the factor is at the end of its
      range and there is no true image.
    action_names: A names, 'shape+1' style.
    changed: [n, A, h, w] bool, patches whose code the action changes, outlined; None: no outline.

  Returns:
    uint8 [height, width, 3].
  """
  x, predictions = unit(x), unit(predictions)
  n, num_actions = predictions.shape[:2]
  top, pitch = EDGE + 170, CELL + GAP
  first = EDGE + CELL + 104                       # left edge of the first action
  band = 2 * pitch + 2 * GAP
  note = '' if changed is None else 'outlined: patches whose codes change'
  page = Page(first + num_actions * pitch - GAP + EDGE, top + n * band - 3 * GAP + EDGE,
               title, note, mark=bool(note))
  for a, name in enumerate(action_names):
    signed = name[-2:] in ('+1', '-1')
    for line, text in enumerate((name[-2:], name[:-2]) if signed else (name,)):
      page.text(text, first + a * pitch + CELL / 2, top - 16 - 28 * line, va='baseline')
  for i in range(n):
    y = top + i * band
    page.image(x[i], EDGE, y + pitch / 2)
    page.text('x', EDGE + CELL / 2, y + pitch / 2 - 16, va='baseline')
    for row, name in enumerate(('model', 'true')):
      page.text(name, first - 18, y + row * pitch + CELL / 2, ha='right')
    for a in range(num_actions):
      left = first + a * pitch
      page.image(predictions[i, a], left, y)
      if changed is not None:
        page.outline(np.asarray(changed[i, a], bool), left, y)
      if truth[i][a] is None:
        page.empty('end of\nrange', left, y + pitch)
      else:
        page.image(unit(truth[i][a]), left, y + pitch)
  return page.draw()


def masks(mask: np.ndarray, action_names: Sequence[str], codebooks: int, grid: tuple[int, int], *,
          title: str = 'Intervention masks: which variables an action moves') -> np.ndarray:
  """Heat maps of the intervention mask: one for each action and codebook.

  On a 1x1 grid there is nothing to map, and one matrix of actions by variables is drawn.

  Args:
    mask: [A, V] in [0, 1], V = K*H*W ordered (codebook, row, column).
    action_names: A names. codebooks: K. grid: (H, W).

  Returns:
    uint8 [height, width, 3].
  """
  num_actions = len(action_names)
  mask = np.asarray(mask, np.float64).reshape(num_actions, codebooks, *grid)
  if tuple(grid) == (1, 1):
    return _heat_maps(
        [[mask[:, :, 0, 0]]], [['']], title=title, row_labels=['action'],
        column_label='variable (one a codebook)', bar='probability', limit=1.,
        panel=(max(420, 56 * codebooks), max(240, 44 * num_actions)), row_names=action_names)
  rows = [(k, part) for k in range(codebooks) for part in _both_directions(num_actions)]
  label = 'row' if codebooks == 1 else 'codebook {}\nrow'
  return _heat_maps([list(mask[part, k]) for k, part in rows],
                    [list(action_names[part]) for _, part in rows], title=title,
                    row_labels=[label.format(k) for k, _ in rows], column_label='column',
                    bar='probability', limit=1.)


def _both_directions(num_actions: int) -> list[slice]:
  """Lines of panels: those of +1 and beneath them those of -1, or a single line of few."""
  half = num_actions // 2
  wide = num_actions > 6 and num_actions % 2 == 0
  return [slice(0, half), slice(half, None)] if wide else [slice(None)]


def adjacency(graph: np.ndarray, names: Sequence[str], *, node_names: Sequence[str] | None = None,
              title: str = 'Causal graph of each mechanism') -> np.ndarray:
  """Heat maps of adjacency matrices on one colour scale: row = child, column = parent.

  Args:
    graph: [M, S, S] edge weights >= 0.
    names: M names of mechanisms. Of more than six, M = 2F, both directions of a factor stand in
      one column.
    node_names: S names, written beside the matrix where S <= 16.

  Returns:
    uint8 [height, width, 3].
  """
  graph = np.asarray(graph, np.float64)
  lines = _both_directions(len(names))
  return _heat_maps([list(graph[line]) for line in lines], [list(names[line]) for line in lines],
                    title=title, row_labels=['child'] * len(lines), column_label='parent',
                    bar='edge weight', limit=float(graph.max()) or 1.,
                    row_names=node_names if graph.shape[-1] <= 16 else None,
                    column_names=node_names if graph.shape[-1] <= 16 else None)


class Page:
  """A blank page in pixels, origin at the top left, on which images are placed exactly."""

  def __init__(self, width: float, height: float, title: str, note: str, *, mark: bool = False):
    width = max(width, 2 * EDGE + _width(title))
    self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=GROUND)
    self.axes = self.figure.add_axes((0, 0, 1, 1))
    self.axes.set(xlim=(0, width), ylim=(height, 0))
    self.axes.axis('off')
    self._heading(title, note, mark)

  def _heading(self, title: str, note: str, mark: bool) -> None:
    self.text(title, EDGE, EDGE + 16, ha='left', size=TITLE, weight='bold')
    y = EDGE + 60
    if mark:
      self.axes.add_patch(patches.Rectangle((EDGE + 2, y - 10), 20, 20, fill=False,
                                            edgecolor=MARK, linewidth=1.5))
    self.text(note, EDGE + 34 * mark, y, ha='left', color=QUIET)

  def text(self, text: str, x: float, y: float, *, ha: str = 'center', va: str = 'center',
           size: float = LABEL, weight: str = 'normal', color: str = INK) -> None:
    self.axes.text(x, y, text, ha=ha, va=va, fontsize=size, color=color, weight=weight)

  def image(self, image: np.ndarray, left: float, top: float) -> None:
    """Draws an image [H, W, C] in [0, 1] in a cell, with a hairline around it."""
    pixels = np.broadcast_to(image, image.shape[:2] + (3,))
    smooth = CELL % image.shape[0] or CELL % image.shape[1]
    limits = self.axes.axis()
    self.axes.imshow(pixels, extent=(left, left + CELL, top + CELL, top), aspect='auto',
                     interpolation='antialiased' if smooth else 'nearest')
    self.axes.axis(limits)
    self.axes.add_patch(patches.Rectangle((left, top), CELL, CELL, fill=False,
                                          edgecolor='#d0d7de', linewidth=.5))

  def outline(self, region: np.ndarray, left: float, top: float) -> None:
    """Draws the border of a region [h, w] bool of patches over the cell."""
    h, w = region.shape
    padded = np.pad(region, 1)
    across = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])    # between a row and the next
    down = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    lines = [[(c, r), (c + 1, r)] for r, c in across] + [[(c, r), (c, r + 1)] for r, c in down]
    scale, origin = np.array([CELL / w, CELL / h]), np.array([left, top])
    self.axes.add_collection(collections.LineCollection(
        [np.array(line) * scale + origin for line in lines], colors=MARK, linewidths=1.25,
        capstyle='projecting', zorder=3), autolim=False)

  def empty(self, text: str, left: float, top: float) -> None:
    self.axes.add_patch(patches.Rectangle((left, top), CELL, CELL, color=PALE, linewidth=0))
    self.text(text, left + CELL / 2, top + CELL / 2, size=SMALL, color=QUIET)

  def draw(self) -> np.ndarray:
    return rasterise(self.figure)


def _heat_maps(panels: Sequence[Sequence[np.ndarray]], names: Sequence[Sequence[str]], *,
               title: str, row_labels: Sequence[str], column_label: str, bar: str, limit: float,
               panel: tuple[float, float] = (224, 224), row_names: Sequence[str] | None = None,
               column_names: Sequence[str] | None = None) -> np.ndarray:
  """Lines of matrices on one colour scale from 0 to `limit`, with one colour bar.

  Lines are of one length. Row labels: one for each.
  """
  width, height = panel
  across, down = len(panels[0]), len(panels)
  long = lambda texts: max(map(len, texts)) if texts else 2
  left = EDGE + 56 + 12 * long(row_names) + 30 * ('\n' in row_labels[0])
  below = 68 + 12 * long(column_names)
  over, gap, top = 44 if names[0][0] else 0, 28, EDGE + 60
  size = (max(left + across * (width + gap) + 150, 2 * EDGE + _width(title)),
          top + down * (height + over + 20) - 20 + below)
  figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI, facecolor=GROUND)
  place = lambda x, y, w, h: figure.add_axes(
      (x / size[0], 1 - (y + h) / size[1], w / size[0], h / size[1]))
  figure.text(EDGE / size[0], 1 - (EDGE + 16) / size[1], title, va='center', fontsize=TITLE,
              color=INK, weight='bold')
  y = lambda row: top + over + row * (height + over + 20)
  for row, column in np.ndindex(down, across):
    matrix = panels[row][column]
    axes = place(left + column * (width + gap), y(row), width, height)
    image = axes.imshow(matrix, cmap=HEAT, vmin=0, vmax=limit, interpolation='nearest',
                        aspect='auto')
    axes.set_title(names[row][column], fontsize=LABEL, color=INK, pad=6)
    start, end = column == 0, row == down - 1
    _ticks(axes, matrix.shape, row_names, column_names, with_rows=start, with_columns=end)
    if start:
      axes.set_ylabel(row_labels[row], fontsize=LABEL, color=INK)
    if end:
      axes.set_xlabel(column_label, fontsize=LABEL, color=INK)
  colour = figure.colorbar(
      image, cax=place(left + across * (width + gap), y(0), 20, y(down - 1) + height - y(0)))
  colour.set_label(bar, fontsize=LABEL, color=INK)
  colour.ax.tick_params(labelsize=SMALL, colors=QUIET, length=3)
  colour.outline.set_visible(False)
  return rasterise(figure)


def _ticks(axes: Axes, shape: tuple[int, int], row_names: Sequence[str] | None,
           column_names: Sequence[str] | None, *, with_rows: bool, with_columns: bool) -> None:
  for axis, size, names, shown in ((axes.yaxis, shape[0], row_names, with_rows),
                                   (axes.xaxis, shape[1], column_names, with_columns)):
    step = 1 if names else max(1, 2 ** math.ceil(math.log2(size / 6)))
    ticks = np.arange(0, size, step)
    axis.set_ticks(ticks, labels=[] if not shown else [names[t] if names else t for t in ticks])
  axes.tick_params(labelsize=SMALL, colors=QUIET, length=3)
  if column_names:
    axes.tick_params(axis='x', rotation=90)
  for spine in axes.spines.values():
    spine.set(color='#d0d7de', linewidth=.75)


def unit(images: np.ndarray) -> np.ndarray:
  """float32 in [0, 1] from uint8 or float images [..., H, W, C]."""
  images = np.asarray(images)
  if images.shape[-1] not in (1, 3):
    raise ValueError(f'Images have 1 or 3 channels, not {images.shape[-1]}.')
  if images.dtype == np.uint8:
    return images.astype(np.float32) / 255
  return np.clip(images.astype(np.float32), 0, 1)


def _width(title: str) -> float:
  """Pixels that a title takes."""
  figure = Figure(dpi=DPI)
  text = figure.text(0, 0, title, fontsize=TITLE, weight='bold')
  return text.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width


def rasterise(figure: Figure) -> np.ndarray:
  """A drawn figure as uint8 [height, width, 3]."""
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()
