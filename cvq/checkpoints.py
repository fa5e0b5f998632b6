"""Checkpoints of a work directory: atomic, asynchronous, and never lost to a damaged one.

Process 0 alone touches the files, so that Orbax has nobody to wait for; what it reads it sends to
the others. Every process calls every method.

One composite a step: the state (as NumPy, so that any number of devices and processes can read
it), the position of the data, the config, and progress (wall time, version). Orbax notices a file
that is cut or lost, but not a changed bit: checksums are kept and compared.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any, Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
from orbax import checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies
import tensorstore

from cvq import integrity, parallel, quiet, stored_config
from cvq.errors import Diverged, Unwritable, UserError

# Beside the fields of progress: of the state, and of data and progress themselves.
_CHECKSUM, _OF_FIELDS = 'crc32', 'crc32_of_fields'
_ALONE = ocp.options.MultiprocessingOptions(
    primary_host=0, active_processes={0}, barrier_sync_key_prefix='cvq')
_figure = operator.itemgetter('retrieval')               # by which a checkpoint is the best


@dataclasses.dataclass(frozen=True)
class Restored:
  """A checkpoint: its step, state, positions of the data iterators, and progress."""
  step: int
  state: Any
  data: dict
  progress: dict


class _Manager(ocp.CheckpointManager):
  """Orbax's, for which a figure that cannot be read is none: the others must still be found."""

  def metrics(self, step: int) -> dict | None:
    try:
      return {'retrieval': float(_figure(super().metrics(step)))}
    except Exception:  # pylint: disable=broad-except
      return None                                # checkpoints without validation have none


class Checkpoints:
  """Checkpoints in WORKDIR/checkpoints: the last ones and those that retrieve best.

  Args:
    workdir: absolute or relative; made absolute once, here.
    keep_last: newest checkpoints kept. keep_best: those with the best `retrieval` kept besides.
  """

  def __init__(self, workdir: str, *, keep_last: int, keep_best: int):
    self._folder = pathlib.Path(os.path.abspath(workdir)) / 'checkpoints'
    self._manager = None
    if not parallel.first():
      return
    self._folder.mkdir(parents=True, exist_ok=True)
    keep = policies.AnyPreservationPolicy([
        policies.LatestN(keep_last),
        policies.BestN(get_metric_fn=_figure, n=keep_best,
                       keep_checkpoints_without_metrics=False)])
    # `keep` alone decides; but without best_fn no figure is written, for the next who opens this.
    self._manager = _Manager(
        self._folder, item_names=('state', 'data', 'config', 'progress'),
        options=ocp.CheckpointManagerOptions(
            preservation_policy=keep, best_fn=_figure, enable_async_checkpointing=True,
            create=False, multiprocessing_options=_ALONE))

  def save(self, step: int, state: Any, *, data: dict, config: Any, progress: dict,
           metrics: dict | None = None) -> None:
    """Starts writing a checkpoint; returns once the state is copied.

    Args:
      step: of the state. state: pytree of arrays, the same on all devices.
      data, progress: fit for JSON. config: ConfigDict.
      metrics: {'retrieval': ...} for the choice of the best, or None.

    Raises:
      Unwritable: an earlier or this checkpoint could not be written.
      Diverged: the state is not finite; it would take the place of a good one.
      UserError: either, on other processes than the first.
    """
    _on_first(self._manager is not None and functools.partial(
        self._save, step, state, data=data, config=config, progress=progress, metrics=metrics))

  def _save(self, step: int, state: Any, *, data: dict, config: Any, progress: dict,
            metrics: dict | None) -> None:
    state = jax.tree.map(np.asarray, jax.device_get(state))
    bad = integrity.not_finite(state)
    if bad:
      raise Diverged(step, bad, max(self._manager.all_steps(), default=None))
    _check_room(self._folder, sum(x.nbytes for x in jax.tree.leaves(state)))
    quiet.about_checkpoints()
    try:
      self._manager.save(
          step, force=True, metrics=metrics, args=ocp.args.Composite(
              state=ocp.args.StandardSave(state), data=ocp.args.JsonSave(data),
              config=ocp.args.JsonSave(stored_config.to_json(config)),
              progress=ocp.args.JsonSave(progress | {
                  _CHECKSUM: integrity.checksum(state),
                  _OF_FIELDS: integrity.checksum_of_fields(data, progress)})))
    except (OSError, ValueError) as error:        # tensorstore raises ValueError for a full disk
      raise _unwritable(self._folder, error) from error

  def restore(self, state: Any, *, step: int | None = None, set_aside: bool = False
              ) -> Restored | None:
    """The newest checkpoint that can be read, or None where there is none.

    Args:
      state: a state of the same structure, shapes and types.
      step: this one and no other.
      set_aside: moves damaged ones to WORKDIR/damaged, so that their steps can be saved again.

    Raises:
      UserError: there are checkpoints and none of them can be read, or they have another layout;
        no checkpoint of `step`, or a damaged one.
    """
    abstract = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
    found = None

    def read() -> dict | None:
      nonlocal found
      found = self._read(abstract, step, set_aside)
      return found and {'step': found.step, 'data': found.data, 'progress': found.progress}

    said = _on_first(self._manager is not None and read)
    if said is None:
      return None
    values = parallel.from_first(abstract if found is None else found.state)
    return Restored(state=jax.tree.map(jnp.asarray, values), **said)

  def _read(self, abstract: Any, step: int | None, set_aside: bool) -> Restored | None:
    """`restore` on process 0; the state stays in NumPy."""
    steps = sorted(self._manager.all_steps(), reverse=True)
    but = lambda left_out: ', '.join(str(s) for s in sorted(steps) if s != left_out) or 'none'
    if step not in (None, *steps):
      raise UserError(f'No checkpoint of step {step} in {self._folder}; there are {but(step)}.')
    damaged = []
    for tried in steps if step is None else [step]:
      try:
        _read_through(self._folder / str(tried) / 'state')
        items = self._manager.restore(tried, args=ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore(),
            progress=ocp.args.JsonRestore()))
        chex.assert_trees_all_equal_shapes_and_dtypes(items.state, abstract)
        if items.progress.pop(_CHECKSUM) != integrity.checksum(items.state):
          raise ValueError('the state does not have the checksum that it was saved with')
        # Checkpoints of older versions have none.
        expected = items.progress.pop(_OF_FIELDS, None)
        if expected not in (None, integrity.checksum_of_fields(items.data, items.progress)):
          raise ValueError('data or progress do not have the checksum that they were saved with')
      except Exception as error:  # pylint: disable=broad-except
        self._refuse_other_layout(tried, abstract)
        reason = ' '.join(str(error).split())[:150]
        said = f'Checkpoint {self._folder / str(tried)} is damaged ({reason})'
        if step is not None:
          raise UserError(f'{said}; other steps there: {but(step)}.\n'
                          'Put a good copy back, or name another step.') from error
        print(f'{said}; trying the one before it.', file=sys.stderr, flush=True)
        damaged.append(tried)
        continue
      # Only now: where none is good all stay, or the next run would silently start again.
      for other in damaged if set_aside else ():
        self._set_aside(other)
      return Restored(tried, items.state, items.data, items.progress)
    if steps:
      raise UserError(f'No checkpoint in {self._folder} can be read (steps '
                      f'{", ".join(map(str, steps))}).\nNothing was deleted. Start again with '
                      'another --workdir, or put a good copy back.')
    return None

  def _refuse_other_layout(self, step: int, abstract: Any) -> None:
    """Raises UserError for a checkpoint that is whole, but has other arrays than this version."""
    try:
      _read_through(self._folder / str(step) / 'state')           # Orbax fails with a traceback
      items = self._manager.restore(step, args=ocp.args.Composite(
          state=ocp.args.StandardRestore(), progress=ocp.args.JsonRestore()))
      saved, version = integrity.layout(items.state), items.progress['version']
    except Exception:  # pylint: disable=broad-except
      return                                                      # damaged: not for us to tell
    wanted = integrity.layout(abstract)
    other = sorted(name for name in saved.keys() | wanted.keys()
                   if saved.get(name) != wanted.get(name))
    if other:
      raise UserError(
          f'{self._folder / str(step)} was written by cvq {version} with another layout than this '
          f'version reads: {len(other)} arrays differ, the first is {other[0]} ('
          f'{saved.get(other[0], "not there")}, expected {wanted.get(other[0], "none")}).\n'
          'Load it with the version of cvq that wrote it, or train again in another --workdir.')

  def _set_aside(self, step: int) -> None:
    target = self._folder.parent / 'damaged' / str(step)
    while target.exists():
      target = target.with_name(target.name + '+')
    target.parent.mkdir(exist_ok=True)
    shutil.move(self._folder / str(step), target)
    self._manager.reload()

  def wait(self) -> None:
    """Returns when everything is on disk. Raises Unwritable (or UserError) where that failed."""
    _on_first(self._manager is not None and self._wait)

  def _wait(self) -> None:
    try:
      self._manager.wait_until_finished()
    except (OSError, ValueError) as error:
      raise _unwritable(self._folder, error) from error

  def close(self) -> None:
    """Waits, and gives up threads and files."""
    self.wait()
    if self._manager is not None:
      self._manager.close()


def _on_first(act: Callable[[], Any] | bool) -> Any:
  """Does something on process 0, the only one with an `act`; the others learn how it ended.

  Else they would wait for a process that has left.

  Returns:
    What `act` returned, on every process; fit for JSON.

  Raises:
    UserError: what `act` raised, on every process.
  """
  problem = value = None
  try:
    if act:
      value = act()
  except UserError as error:
    problem = error
  code, text, value = json.loads(parallel.text_from_first(json.dumps(
      [0, '', value] if problem is None else [problem.code, str(problem), None])))
  if problem is not None:
    raise problem
  if code:
    error = UserError(text)
    error.code = code
    raise error
  return value


def _unwritable(folder: pathlib.Path, error: Exception) -> Unwritable:
  return Unwritable(f'A checkpoint could not be written to {folder}: {error}.\n'
                    'Make room or choose another --workdir; earlier checkpoints are untouched.')


def _read_through(folder: pathlib.Path) -> None:
  """Raises where a file of a state is cut or lost: Orbax would, with a traceback per array."""
  store = tensorstore.KvStore.open(
      {'driver': 'ocdbt', 'base': {'driver': 'file', 'path': f'{folder}/'}}).result()
  keys = store.list().result()
  if not keys:                     # a store without its manifest passes for a new one
    raise FileNotFoundError(f'{folder} holds no arrays')
  for read in [store.read(key) for key in keys]:
    read.result()


def _check_room(folder: pathlib.Path, size: int) -> None:
  """A full or read-only disk is noticed before a write: Orbax fails in its threads, noisily."""
  try:
    tempfile.TemporaryFile(dir=folder).close()
  except OSError as error:
    raise _unwritable(folder, error) from error
  space = os.statvfs(folder)
  free, needed = space.f_bavail * space.f_frsize, 2 * size + 2**20
  if free < needed:
    raise _unwritable(folder, OSError(f'{free >> 20} MB left, {(needed >> 20) + 1} MB needed'))
