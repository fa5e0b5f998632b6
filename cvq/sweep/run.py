"""Runs cells, each in processes of its own, and writes what they found. Imports no JAX."""

from __future__ import annotations

from concurrent import futures
import fcntl
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import threading
import time
from typing import Callable, Sequence

from cvq import files
from cvq.errors import UserError
from cvq.sweep import cells as cell_module
from cvq.sweep.cells import Cell

# What a result holds besides its measurements.
OF_TRAINING = {'cell', 'config', 'fields', 'seed', 'arguments', 'command', 'evaluation', 'machine',
               'training_seconds', 'device', 'versions', 'revision', 'later'}


class Failed(Exception):
  """A cell's process failed; the message is its last word and where the whole log is."""


class Runner:
  """Runs cells to their ends; a failure is told and does not stop the others.

  Args:
    results: folder of the cells' JSON. runs: folder of their work directories.
    tell: called with a line for each thing that happens. python: starts Python.
  """

  def __init__(self, results: pathlib.Path, runs: pathlib.Path, tell: Callable[[str], None] = print,
               python: Sequence[str] = (sys.executable,)):
    self._results, self._runs, self._tell, self._python = results, runs, tell, python
    self._children: set[subprocess.Popen] = set()
    self._lock, self._stopping = threading.Lock(), False
    results.mkdir(parents=True, exist_ok=True)

  def run(self, wanted: dict[Cell, set[str]], parallel: int = 1) -> list[str]:
    """Runs what is not finished, `parallel` cells at a time.

    Returns:
      Names of the cells that failed.

    Raises:
      KeyboardInterrupt: after the children have saved; the same command goes on from there.
    """
    pool = futures.ThreadPoolExecutor(parallel)
    work = {pool.submit(self._cell, cell, needed): cell for cell, needed in wanted.items()}
    failed = []
    try:
      for done in futures.as_completed(work):
        try:
          done.result()
        except (Failed, UserError, OSError) as error:
          failed.append(work[done].name)
          self._tell(f'{work[done].name}: FAILED. {error}')
    except KeyboardInterrupt:
      self._stop()
      raise
    finally:
      pool.shutdown(cancel_futures=True)
    return [cell.name for cell in wanted if cell.name in failed]

  def _stop(self) -> None:
    with self._lock:
      self._stopping = True
      for child in self._children:
        child.send_signal(signal.SIGTERM)

  def _cell(self, cell: Cell, needed: set[str]) -> None:
    status = cell_module.status(cell, needed, self._results, self._runs)
    if status == cell_module.FINISHED:
      self._tell(f'{cell.name}: finished before')
      return
    if status == cell_module.OTHER:
      raise UserError(f'{self._results / cell.name}.json is of another command.\nMove it and '
                      f'{self._runs / cell.name} away to measure the cell anew.')
    workdir = self._runs / cell.name
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / '.sweep', 'w') as lock:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        raise Failed('Another sweep is running it.') from None
      self._run_locked(cell, needed, workdir, status, lock.fileno())

  def _run_locked(self, cell: Cell, needed: set[str], workdir: pathlib.Path, status: str,
                  lock: int) -> None:
    start = time.monotonic()
    anew = workdir / '.anew'         # there while the run is not that of the JSON
    trained = (status == cell_module.PARTLY and (workdir / 'checkpoints').is_dir()
               and not anew.exists())
    held = cell_module.result(cell, self._results) or {}
    found = held if trained else {}                      # measurements of the same model alone
    if not trained:
      self._tell(f'{cell.name}: {"goes on" if status == cell_module.UNFINISHED else "starts"}')
      anew.touch()
      self._child(['-m', 'cvq.main', *cell.arguments], workdir, lock)
      found = {
          'cell': cell.name, 'config': cell.config, 'fields': dict(cell.fields),
          'seed': cell.seed, 'arguments': cell.arguments, 'command': cell.command(self._runs),
          'evaluation': files.read_json(
              workdir / 'evaluation.json', 'Move the work directory away.'),
          'machine': machine(), 'training_seconds': training_seconds(workdir)}
    # All that was known of another training is measured anew.
    missing = sorted((needed | held.keys() - OF_TRAINING) - found.keys())
    self._child(['-m', 'cvq.sweep.measure', *cell.arguments, f'--measure={",".join(missing)}'],
                workdir, lock)
    measured = files.read_json(workdir / 'measured.json', 'Move it away.')
    # Revision, versions and device stay those of the training, should more be measured later.
    later = dict.fromkeys(missing, measured['revision']) if trained else {}
    files.write_json(self._results / f'{cell.name}.json',
                     measured | found | {'later': found.get('later', {}) | later})
    anew.unlink(missing_ok=True)
    took = time.monotonic() - start
    self._tell(f'{cell.name}: finished, {took / 60:.1f} minutes')

  def _child(self, arguments: list[str], workdir: pathlib.Path, lock: int) -> None:
    """A Python process to its end, its output in WORKDIR/sweep.log.

    It holds the lock too, so that no other sweep takes the cell should this one be killed.
    """
    path = workdir / 'sweep.log'
    with open(path, 'a') as log:
      with self._lock:
        if self._stopping:
          raise Failed('Stopped.')
        # In a session of its own: a signal reaches it from us alone, and once.
        child = subprocess.Popen(
            [*self._python, *arguments, f'--workdir={workdir}'], stdout=log, stderr=log,
            start_new_session=True, pass_fds=(lock,))
        self._children.add(child)
      try:
        code = child.wait()
      finally:
        with self._lock:
          self._children.discard(child)
    if code:
      last = [line for line in path.read_text(errors='replace').splitlines() if line.strip()]
      raise Failed(f'{" / ".join(last[-2:])} (exit code {code}; log: {path})')


def training_seconds(workdir: pathlib.Path) -> float | None:
  """Seconds in training steps, over all restarts, from the newest line of metrics.jsonl."""
  path, seconds = workdir / 'metrics.jsonl', None
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      seconds = json.loads(line).get('seconds', seconds)
    except ValueError:                                 # the last line of a killed process
      continue
  return seconds


def machine() -> str:
  """Processor and cores that this process may use, in words."""
  model = platform.processor() or platform.machine()
  info = pathlib.Path('/proc/cpuinfo')
  if info.exists():
    named = [line.partition(':')[2].strip() for line in info.read_text().splitlines()
             if line.startswith('model name')]
    model = named[0] if named else model
  total = os.cpu_count()
  ours = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else total   # Linux
  cores = f'{total} cores' if ours == total else f'{ours} of {total} cores'
  return f'{cores} of {model}, {platform.system()}'
