"""Devices and processes: the only file that names pmap.

The state is not stacked: every device holds the same one. `out_axes=None` does not check that
(a leaf that was not averaged silently takes one device's value), so the tests run the same steps
under `vmap(axis_name=...)` with the same axes, which raises.
"""

from __future__ import annotations

from typing import Any, Callable

import jax
from jax.experimental import multihost_utils
import numpy as np

AXIS = 'batch'


def device_count() -> int:
  """Devices of all processes."""
  return jax.device_count()


def describe() -> str:
  """Devices and processes in words, for the start of a run."""
  devices, processes = jax.device_count(), jax.process_count()
  kind = jax.devices()[0].device_kind
  return f'{devices} x {kind}' + (f' in {processes} processes' if processes > 1 else '')


def process() -> tuple[int, int]:
  """(index, count) of processes."""
  return jax.process_index(), jax.process_count()


def parallel_train_step(step: Callable) -> Callable:
  """(state, batch [devices, B, ...]) -> (state, scalars); the old state is given up."""
  return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None),
                  donate_argnums=0)


def parallel_state_step(step: Callable) -> Callable:
  """(state, batch [devices, B, ...]) -> state."""
  return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=None)


def parallel_eval_step(step: Callable) -> Callable:
  """(state, batch [devices, B, ...]) -> arrays [devices, B, ...]."""
  return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), out_axes=0)


def round_up(batch_size: int) -> int:
  """The next multiple of the number of devices."""
  return -(-batch_size // jax.device_count()) * jax.device_count()


def share(batch: dict) -> dict:
  """This process's part of a batch that every process holds."""
  index, count = process()
  return {name: np.split(value, count)[index] for name, value in batch.items()}


def join(table: dict) -> dict:
  """The rows of all processes, [n, ...] -> [processes * n, ...]; every process must call it."""
  if jax.process_count() == 1:
    return table
  return multihost_utils.process_allgather(table, tiled=True)


def shard(batch: dict) -> dict:
  """[B, ...] of this process -> [local devices, B / local devices, ...]."""
  n = jax.local_device_count()
  return {name: value.reshape(n, -1, *value.shape[1:]) for name, value in batch.items()}


def unshard(tree: Any) -> Any:
  """[local devices, B, ...] -> [B, ...] in NumPy."""
  return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)
