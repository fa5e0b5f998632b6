"""A trace of a few training steps, for TensorBoard's profiler or XProf."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import jax

SETTLED = 10             # steps of a start that are not traced: they compile and fill caches


class Trace:
  """Traces some steps of the stage `train`, once in a start.

  Args:
    folder: gets plugins/profile/TIME/. steps: how many; 0 for no trace.
  """

  def __init__(self, folder: str, steps: int):
    self._folder, self._steps, self._seen, self._running = folder, steps, 0, False

  @contextlib.contextmanager
  def step(self, number: int, stage: str) -> Iterator[list[Any]]:
    """Around a step; the block appends to the list what the step computes."""
    if stage != 'train':                               # reconstruction alone is not what is slow
      yield []
      return
    if self._steps and self._seen == SETTLED:
      jax.profiler.start_trace(self._folder)
      self._running = True
    computed: list[Any] = []
    with jax.profiler.StepTraceAnnotation('train_step', step_num=number):
      yield computed
    self._seen += 1
    if self._running and self._seen == SETTLED + self._steps:
      jax.block_until_ready(computed)
      self.close()

  def close(self) -> None:
    """Ends a trace that still runs."""
    if self._running:
      jax.profiler.stop_trace()
      self._running = False
