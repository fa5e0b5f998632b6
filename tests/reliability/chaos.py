"""Runs that are killed at chosen moments and started again by the same command."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys
import time
from typing import Any, Callable

import jax
import numpy as np
from orbax import checkpoint as ocp

ROOT = pathlib.Path(__file__).parents[2]
# Four patches instead of 64: the programs of the report compile in seconds.
SMALL = ('--config.model.encoder.patch=32', '--config.model.decoder.patch=32',
         '--config.model.quantizer.codebooks=2')


@dataclasses.dataclass(frozen=True)
class Strike:
  """A kill: after the `count`-th moment of a kind, `delay` seconds later."""
  kind: str
  count: int
  delay: float


def strikes(seed: int, **numbers: int) -> list[Strike]:
  """Seeded strikes in the order in which a run reaches them; numbers: of each kind.

  Steps and saves are mixed. Delays reach from the moment itself to about when it is over.
  """
  rng = random.Random(seed)
  longest = {'preparation': .4, 'step': .1, 'save': .15, 'evaluation': .8, 'oracle': .05,
             'report': 1.}
  first = {'step': lambda: rng.randint(1, 15), 'save': lambda: rng.randint(1, 2),
           'report': lambda: rng.randint(1, 12)}
  made = {kind: [Strike(kind, first.get(kind, lambda: 1)(), rng.uniform(0, longest[kind]))
                 for _ in range(count)] for kind, count in numbers.items()}
  loop = made.pop('step', []) + made.pop('save', [])
  rng.shuffle(loop)
  return (made.pop('preparation', []) + loop + made.pop('evaluation', [])
          + made.pop('oracle', []) + made.pop('report', []))


@dataclasses.dataclass
class Place:
  """Where a run lives: its work directory and data may move between two starts.

  Attributes:
    folder: holds run/ and data/. cache: of compiled programs. log: takes what the runs print.
    fields: of the config, as flags.
    settled: at the moment before a step no checkpoint is being written.
    starts: (step at which it began, newest checkpoint that was on disk before), of every start.
  """
  folder: pathlib.Path
  cache: pathlib.Path
  log: pathlib.Path
  fields: tuple[str, ...] = ()
  settled: bool = False
  starts: list[tuple[int, int]] = dataclasses.field(default_factory=list)

  @property
  def workdir(self) -> pathlib.Path:
    return self.folder / 'run'

  def move(self, folder: pathlib.Path) -> None:
    """Work directory and data go elsewhere, as to another machine."""
    self.folder = self.folder.rename(folder)

  def start(self, *flags: str, strike: Strike | None = None,
            blow: Callable[[subprocess.Popen], None] = subprocess.Popen.kill) -> int:
    """Runs to the end, or until the blow at the moment of the strike; returns the exit code."""
    before, left = newest(self.workdir), strike.count if strike else 0
    read_end, write_end = os.pipe()
    with self.log.open('a') as log, os.fdopen(read_end) as moments:
      process = subprocess.Popen(
          [sys.executable, '-m', 'tests.reliability.struck', '--config=tests/tiny.py',
           f'--workdir={self.workdir}', *self.fields, *flags], cwd=ROOT, pass_fds=[write_end],
          stdout=log, stderr=subprocess.STDOUT, env=os.environ | {
              'ANNOUNCE': str(write_end), 'CVQ_DATA_DIR': str(self.folder / 'data'),
              'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
              'JAX_COMPILATION_CACHE_DIR': str(self.cache),
              'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
              **({'SETTLED': '1'} if self.settled else {})})
      os.close(write_end)
      try:
        for line in moments:
          kind, _, number = line.strip().partition(' ')
          if kind == 'start':
            self.starts.append((int(number), before))
          if strike and kind == strike.kind:
            left -= 1
            if left == 0:
              time.sleep(strike.delay)
              blow(process)
        return process.wait(timeout=60)
      finally:
        process.kill()
        process.wait()


def newest(workdir: pathlib.Path) -> int:
  """Step of the newest complete checkpoint, 0 for none."""
  folder = workdir / 'checkpoints'
  return max((int(path.name) for path in folder.glob('*') if path.name.isdigit()), default=0)


def half_written(folder: pathlib.Path) -> list[pathlib.Path]:
  """JSON files that do not hold JSON."""
  found = []
  for path in folder.rglob('*.json'):
    try:
      json.loads(path.read_text())
    except ValueError:
      found.append(path)
  return found


def data(folder: pathlib.Path) -> dict[str, bytes]:
  """Contents of the prepared data in which a run believes, by path."""
  return {str(path.relative_to(folder)): path.read_bytes()
          for path in folder.rglob('*.array_record*') if 'incomplete' not in str(path)}


def results(workdir: pathlib.Path, *, means: bool) -> dict:
  """All that a finished run computed, without times: log, evaluation, last state, report.

  Args:
    means: with the means over steps in the log, which are those of an unbroken run where every
      checkpoint is of a step with a line in the log.
  """
  read = lambda name: json.loads((workdir / name).read_text())
  rows = map(json.loads, (workdir / 'metrics.jsonl').read_text().splitlines())
  shown = ('validation/', 'train/') if means else 'validation/'
  found = {
      'log': [{name: value for name, value in row.items()
               if name == 'step' or name.startswith(shown)} for row in rows],
      'evaluation': _timeless(read('evaluation.json')),
      'state': [(leaf.dtype.str, leaf.tobytes()) for leaf in _state(workdir)]}
  if (workdir / 'report.json').exists():
    found['report'] = {
        name: part for name, part in _timeless(read('report.json')).items() if name != 'run'}
  return found


def _state(workdir: pathlib.Path) -> list[np.ndarray]:
  """Arrays of the newest checkpoint, read back by Orbax alone."""
  path = workdir / 'checkpoints' / str(newest(workdir)) / 'state'
  return list(map(np.asarray, jax.tree.leaves(ocp.StandardCheckpointer().restore(
      path.absolute()))))


def _timeless(part: Any) -> Any:
  """JSON without the seconds that anything took, at any depth."""
  if isinstance(part, dict):
    return {name: _timeless(value) for name, value in part.items() if name != 'seconds'}
  return list(map(_timeless, part)) if isinstance(part, list) else part
