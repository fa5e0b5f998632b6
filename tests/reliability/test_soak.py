"""A thousand steps: memory, open files and threads stay where they are.

  CVQ_LONG_TESTS=1 python -m pytest -n0 -s tests/reliability/test_soak.py
"""

import os
import threading

import numpy as np
import pytest

from cvq import train
from tests import tiny
from tests.reliability import fuzzing

STEPS = 1000
SETTLED = 300                  # steps until buffers, caches and allocator have their size
SLOPE = 2**14                  # bytes a step that are allowed: the allocator's own unrest


@pytest.mark.slow
def test_a_thousand_steps(tmp_path, monkeypatch, long):
  """With a line of the log every 10 steps, an evaluation and a picture and a save every 50."""
  if not long:
    pytest.skip('a thousand steps take minutes: CVQ_LONG_TESTS=1')
  seen = []
  train_one = train.Loop._train_one

  def watched(self, progress):
    train_one(self, progress)
    if self.step % 50 == 49:                           # nothing is being saved
      self.store.wait()
      seen.append((self.step, fuzzing.resident('RssAnon'), len(os.listdir('/proc/self/fd')),
                   threading.active_count()))
  monkeypatch.setattr(train.Loop, '_train_one', watched)
  # The last stage begins after the last look: it has a pipeline, with threads, of its own.
  config = tiny.get_config(f'steps={STEPS - 8}')
  config.log.update(every=10, evaluate_every=50, picture_every=50)
  config.checkpoint.every = 50
  train.train(config, str(tmp_path))
  steps, memory, descriptors, threads = np.asarray(seen).T
  late = steps > SETTLED
  slope = np.polyfit(steps[late], memory[late], 1)[0]
  print(f'\n{STEPS} steps: {memory[0] / 2**20:.1f} MB at step {steps[0]}, '
        f'{memory[late][0] / 2**20:.1f} MB at step {steps[late][0]}, {memory[-1] / 2**20:.1f} MB '
        f'at step {steps[-1]}; slope from there {slope:.0f} bytes a step; file descriptors '
        f'{descriptors[late].min()} to {descriptors[late].max()}, threads '
        f'{threads[late].min()} to {threads[late].max()}')
  assert slope < SLOPE
  assert descriptors[-1] <= descriptors[late][0] and threads[-1] <= threads[late][0]
