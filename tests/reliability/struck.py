"""cvq.main that announces what it is about to do, so that it can be killed in the middle of that.

  python -m tests.reliability.struck FLAGS of cvq.main

ANNOUNCE: number of an inherited file descriptor that takes a line for each moment:
`preparation`, `start STEP`, `step N`, `save N`, `evaluation`, `oracle`, `report N`.
SETTLED: no checkpoint is being written at the moments `step N`.
Reports are as small as those of the tests in tests/report.
"""

from __future__ import annotations

import functools
import os
from typing import Any, Callable

from cvq import checkpoints, evaluate, main, train
from cvq.data import prepare
from cvq.evaluation import factor_reader
from cvq.evaluation.disentanglement import battery
from cvq.report import collect
from tests.report.conftest import SIZES


def announce(moment: str) -> None:
  """One write of less than a page: whole or not at all."""
  os.write(int(os.environ['ANNOUNCE']), f'{moment}\n'.encode())


def announced(place: Any, name: str, moment: Callable[..., str]) -> None:
  """Replaces a function by one that says so first; moment: of its arguments."""
  function = getattr(place, name)

  @functools.wraps(function)
  def told(*args, **kwargs):
    announce(moment(*args))
    return function(*args, **kwargs)
  setattr(place, name, told)


def step(loop: train.Loop, _: Any) -> str:
  """The moment before a gradient step."""
  if 'SETTLED' in os.environ:
    loop.store.wait()
  return f'step {loop.step + 1}'


def main_announced() -> None:
  """Runs cvq.main, announcing."""
  announced(prepare, '_prepare', lambda *_: 'preparation')
  announced(train.Loop, 'run', lambda loop: f'start {loop.step}')
  announced(train.Loop, '_train_one', step)
  announced(checkpoints.Checkpoints, 'save', lambda store, step, _: f'save {step}')
  announced(evaluate, 'write_evaluation', lambda *_: 'evaluation')
  announced(factor_reader, '_save', lambda *_: 'oracle')
  teller, told = collect._teller, [0]

  def counting(start):
    tell = teller(start)

    def counted(line):
      told[0] += 1
      announce(f'report {told[0]}')
      tell(line)
    return counted
  collect._teller = counting
  for slow in ('dci', 'sap', 'infomec'):               # boosted trees of 40 classes
    battery.SLOW.pop(slow)
  collect.write_report = functools.partial(collect.write_report, sizes=SIZES)
  main.run()


if __name__ == '__main__':
  main_announced()
