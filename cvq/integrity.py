"""Whether a saved state is whole: its checksum, its layout, its numbers. Plain functions."""

from __future__ import annotations

import json
from typing import Any
import zlib

import jax
import jax.numpy as jnp
import numpy as np


def checksum(state: Any) -> int:
  """CRC-32 of the bytes of all leaves, in the order of jax.tree.leaves."""
  value = 0
  for leaf in jax.tree.leaves(state):
    value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8), value)
  return value


def checksum_of_fields(*fields: dict) -> int:
  """CRC-32 of dicts as JSON, whatever the order of their keys."""
  return zlib.crc32(json.dumps(fields, sort_keys=True).encode())


def layout(state: Any) -> dict[str, str]:
  """{'params/encoder/hidden/kernel': 'float32 (144, 192)', ...} of a state or its dicts."""
  return {name: f'{leaf.dtype} {leaf.shape}' for name, leaf in _leaves(state)}


def not_finite(state: Any) -> str | None:
  """Name of the first leaf of NumPy arrays that holds NaN or infinity."""
  for name, leaf in _leaves(state):
    if jnp.issubdtype(leaf.dtype, jnp.floating) and not np.isfinite(leaf).all():
      return name
  return None


def _leaves(state: Any) -> list[tuple[str, Any]]:
  return [(jax.tree_util.keystr(path, simple=True, separator='/'), leaf)
          for path, leaf in jax.tree_util.tree_leaves_with_path(state)]
