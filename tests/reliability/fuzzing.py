"""What the fuzz tests share: how many cases, and how memory is bounded."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Iterator

import hypothesis
import pytest

from tests.reliability.conftest import LONG

_CLEAR = pathlib.Path('/proc/self/clear_refs')
_STATUS = pathlib.Path('/proc/self/status')


def cases(short: int, long: int):
  """hypothesis.settings: the same cases at every run of the suite, other ones in the long form."""
  return hypothesis.settings(
      max_examples=long if LONG else short, derandomize=not LONG, deadline=None, database=None,
      suppress_health_check=list(hypothesis.HealthCheck))


def resident(field: str = 'VmRSS') -> int:
  """Bytes of memory that this process holds (VmRSS), or has held since `bounded` (VmHWM)."""
  line, = (line for line in _STATUS.read_text().splitlines() if line.startswith(field))
  return int(line.split()[1]) * 1024


@contextlib.contextmanager
def bounded(megabytes: int) -> Iterator[None]:
  """Fails if the process at any moment holds this much more memory than at the beginning."""
  try:
    _CLEAR.write_text('5')                             # the peak is forgotten
  except OSError:
    pytest.skip('the kernel does not tell the peak of memory')
  before = resident()
  yield
  grown = (resident('VmHWM') - before) / 2**20
  assert grown < megabytes, f'{grown:.0f} MB more memory, at most {megabytes} MB promised'
