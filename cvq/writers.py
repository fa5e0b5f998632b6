"""What a run leaves to look at: metrics.jsonl, TensorBoard, pictures, and a line of progress."""

from __future__ import annotations

import json
import math
import pathlib
import sys
import time

import numpy as np
import tensorboardX
import tqdm

from cvq import files, parallel, pictures


class Writer:
  """Scalars and pictures of a run, on process 0 only.

  Args:
    workdir: gets metrics.jsonl, tensorboard/ and pictures/.
    resume_step: lines of later steps are dropped: they will come again.
  """

  def __init__(self, workdir: str, *, resume_step: int = 0):
    self._active = parallel.first()
    if not self._active:
      return
    self._folder = pathlib.Path(workdir)
    (self._folder / 'pictures').mkdir(parents=True, exist_ok=True)
    path = self._folder / 'metrics.jsonl'
    _drop_later_lines(path, resume_step)
    self._lines = path.open('a', buffering=1)
    self._board = tensorboardX.SummaryWriter(
        str(self._folder / 'tensorboard'), purge_step=resume_step + 1, flush_secs=10)

  def scalars(self, step: int, values: dict[str, float]) -> None:
    """One line of metrics.jsonl, and a point of every curve."""
    if self._active:
      # JSON has no NaN: a figure that cannot be told is null.
      row = {name: value if math.isfinite(value) else None for name, value in values.items()}
      self._lines.write(json.dumps({'step': step, **row}) + '\n')
      for name, value in values.items():
        self._board.add_scalar(name, value, step)

  def picture(self, step: int, name: str, picture: np.ndarray) -> None:
    """A picture, uint8 [height, width, 3]: pictures/NAME_STEP.png, and TensorBoard."""
    if self._active:
      pictures.save(self._folder / 'pictures' / f'{name}_{step:07d}.png', picture)
      self._board.add_image(name, picture, step, dataformats='HWC')

  def close(self) -> None:
    if self._active:
      self._lines.close()
      self._board.close()


def _drop_later_lines(path: pathlib.Path, step: int) -> None:
  """Keeps the lines up to a step, whole ones only, by replacing the file."""
  if not path.exists():
    return
  kept = []
  for line in path.read_text().splitlines():
    try:
      if json.loads(line)['step'] > step:
        continue
    except (ValueError, KeyError):     # the last line of a killed process
      continue
    kept.append(line + '\n')
  files.write_text(path, ''.join(kept))


class Progress:
  """A bar with steps/s, examples/s, time left and figures; plain lines where there is no terminal.

  On process 0 only.

  Args:
    total: steps of the run. step: where it starts.
    interval: seconds between plain lines.
  """

  def __init__(self, total: int, step: int = 0, *, interval: float = 10.):
    self._total, self._start, self._step = total, step, step
    self._interval, self._shown = interval, time.monotonic()
    self._figures: dict[str, float] = {}
    self._window = [time.monotonic(), step, 0, 0.]      # since the last call of rates()
    self._active = parallel.first()
    self._terminal = self._active and sys.stderr.isatty()
    self._bar = tqdm.tqdm(total=total, initial=step, unit='step', dynamic_ncols=True,
                          disable=not self._terminal)
    self._speed = self._examples = 0.

  def __enter__(self) -> Progress:
    return self

  def __exit__(self, *_) -> None:
    self._bar.close()

  def update(self, step: int, examples: int, waited: float) -> None:
    """A step is done: its number, its examples, and the seconds it waited for data."""
    self._step = step
    self._window[2] += examples
    self._window[3] += waited
    self._bar.update(1)

  def rates(self) -> dict[str, float]:
    """steps/s, examples/s and the share of time spent waiting for data, since the last call."""
    begin, step, examples, waited = self._window
    now = time.monotonic()
    elapsed = max(now - begin, 1e-9)
    self._window = [now, self._step, 0, 0.]
    self._speed = (self._step - step) / elapsed
    self._examples = examples / elapsed
    return {'steps_per_second': self._speed, 'examples_per_second': self._examples,
            'waiting_for_data': min(waited / elapsed, 1.)}

  def show(self, figures: dict[str, float | None]) -> None:
    """Figures beside the bar from now on, None: no longer; a plain line if one is due."""
    self._figures = {name: value for name, value in (self._figures | figures).items()
                     if value is not None}
    text = '  '.join(f'{name} {value:.4g}' for name, value in self._figures.items())
    if self._terminal:
      self._bar.set_postfix_str(f'{self._examples:.0f} examples/s  {text}')
    elif self._active and (
        time.monotonic() - self._shown >= self._interval or self._step == self._total):
      self._shown = time.monotonic()
      left = (self._total - self._step) / self._speed if self._speed else float('nan')
      print(f'step {self._step}/{self._total}  {self._speed:.2f} steps/s  '
            f'{self._examples:.0f} examples/s  {left:.0f} s left  {text}', flush=True)
