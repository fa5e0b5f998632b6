"""cvq.main that notes what each process trains on, and is struck by a signal at a chosen step.

  python -m tests.recorded FLAGS of cvq.main

It trains in float64: in float32, sums in another order now and then lead to another code.

RECORD: folder for one file a process, a line for each example: seed, step, place in the batch of
all processes, hash of x, y and actions. STRIKE: 'PROCESS STEP SIGNAL', sent before that step and
every one after it, as Slurm may send it twice; those take half a second, so that some are left.
"""

import dataclasses
import hashlib
import os
import pathlib
import time

import jax
import jax.numpy as jnp

from cvq import main, parallel, session, train
from cvq.data import pipeline


def digest(batch, i: int) -> str:
  """Hash of one example of a batch."""
  return hashlib.sha256(b''.join(batch[name][i].tobytes() for name in ('x', 'y', 'action'))
                        ).hexdigest()


def lines(iterator_seed: int, step: int, batch, first: int = 0) -> list[str]:
  """What is noted of a batch; first: place of its first example."""
  return [f'{iterator_seed} {step} {first + i} {digest(batch, i)}' for i in range(len(batch['x']))]


class Recorded:
  """An iterator over batches that notes those it gives out."""

  def __init__(self, iterator, seed, process):
    self._iterator, self._seed, self._process = iterator, seed, process

  def __next__(self):
    step = self._iterator.get_state()['next_index']
    batch = next(self._iterator)
    first = self._process * len(batch['x'])
    path = pathlib.Path(os.environ['RECORD']) / f'{self._process}'
    with path.open('a') as file:
      file.write(''.join(line + '\n' for line in lines(self._seed, step, batch, first)))
    return batch

  def __getattr__(self, name):
    return getattr(self._iterator, name)


def _record() -> None:
  make = pipeline.train_iterator
  pipeline.train_iterator = lambda *args, **kwargs: Recorded(
      make(*args, **kwargs), kwargs['seed'], kwargs['process_index'])


def in_float64(state):
  """The state with all that is float32 in float64, which jax.enable_x64 must allow."""
  return jax.tree.map(lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, state)


def _train_in_float64() -> None:
  open_run = session.open_run

  def opened(config):
    run = open_run(config)
    return dataclasses.replace(run, state=in_float64(run.state))
  jax.config.update('jax_enable_x64', True)
  session.open_run = opened


def _strike(process: int, step: int, signum: int) -> None:
  train_one = train.Loop._train_one

  def struck(self, progress):
    if self.step >= step and parallel.process()[0] == process:
      os.kill(os.getpid(), signum)
    if self.step >= step:
      time.sleep(.5)
    train_one(self, progress)
  train.Loop._train_one = struck


if __name__ == '__main__':
  _record()
  _train_in_float64()
  if 'STRIKE' in os.environ:
    _strike(*map(int, os.environ['STRIKE'].split()))
  main.run()
