"""Over 2,500 steps memory, open files and threads stay where they are.

  CVQ_LONG_TESTS=1 python -m pytest -n0 -s tests/reliability/test_soak.py
"""

import ctypes
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tests.reliability import chaos

STEPS = 2500
SETTLED = 300                  # steps until buffers and caches have their size
# Bytes and blocks that are allowed a step, by the median of the slopes of all pairs: single looks
# fall into an evaluation. Of the blocks 24 are strings that tensorstore never frees, 1,200 a save.
HEAP, BLOCKS = 2**13, 40
RESIDENT = 1.1                 # times what was seen until all had settled


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'mallinfo2'), reason='needs glibc 2.33')
def test_steps_leave_nothing_behind(tmp_path, long):
  if not long:
    pytest.skip('they take minutes: CVQ_LONG_TESTS=1')
  done = subprocess.run(
      [sys.executable, '-m', 'tests.reliability.soak', tmp_path, str(STEPS)], cwd=chaos.ROOT,
      env=os.environ | {'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
      text=True, capture_output=True, check=False)
  assert done.returncode == 0, done.stderr
  rows = json.loads(done.stdout.splitlines()[-1])
  seen = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
  late = seen['step'] > SETTLED
  slope = {name: stats.theilslopes(seen[name][late], seen['step'][late]).slope
           for name in ('heap', 'blocks', 'resident')}
  print(f'\n{STEPS} steps, from {seen["step"][late][0]} on:')
  for name in seen:
    first, *_, last = part = seen[name][late]
    print(f'  {name} {first:,} to {last:,}, {part.min():,} to {part.max():,} between'
          + (f'; {slope[name]:.1f} a step' if name in slope else ''))
  assert slope['heap'] < HEAP and slope['blocks'] < BLOCKS
  assert seen['resident'][late].max() < RESIDENT * seen['resident'][~late].max()
  for name in ('descriptors', 'threads'):
    assert seen[name][-1] <= seen[name][late][0]
