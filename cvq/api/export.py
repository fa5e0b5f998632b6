"""A model as StableHLO: its inference functions with their weights, free of this code.

The directory holds one serialised `jax.export` module for each function, for any batch size and
for CPU, CUDA and TPU; weights.npz; and model.json. `cvq.api.exported` reads it.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import pathlib
import shutil
from typing import Any

import jax
from jax import export as jax_export
import jax.numpy as jnp
import numpy as np

from cvq import files, inference
from cvq.api import weights
from cvq.api.exported import FORMAT
from cvq.api.interface import Facts
from cvq.errors import UserError
from cvq.models.ct_vae import CTVAE

PLATFORMS = ('cpu', 'cuda', 'tpu')


def write(path: str | pathlib.Path, facts: Facts, model: CTVAE, variables: Any) -> None:
  """Writes the directory, whole or not at all.

  Args:
    path: of the directory, new or empty. facts: of the model. variables: its weights.

  Raises:
    UserError: it holds something, or can't be written.
  """
  path = pathlib.Path(path)
  if path.exists() and (not path.is_dir() or any(path.iterdir())):
    raise UserError(f'{path} exists; choose a new directory to export to.')
  flat = weights.flatten(variables)
  partial = files.partial_of(path)
  try:
    partial.mkdir(parents=True)
    for name, arguments in _arguments(facts).items():
      function = jax.jit(functools.partial(_flat, getattr(inference, name), model))
      exported = jax_export.export(function, platforms=PLATFORMS)(flat, *arguments)
      files.write_bytes(partial / f'{name}.stablehlo', exported.serialize())
    content = io.BytesIO()
    np.savez(content, **flat)
    files.write_bytes(partial / 'weights.npz', content.getbuffer())
    files.write_json(partial / 'model.json', {'format': FORMAT, **dataclasses.asdict(facts)})
    if path.exists():
      path.rmdir()
    os.replace(partial, path)
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror}.') from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)


def _arguments(facts: Facts) -> dict[str, tuple]:
  """Shapes of each function's arguments; b, the batch size, is left open."""
  b, = jax_export.symbolic_shape('b')
  images = jax.ShapeDtypeStruct((b, *facts.image_shape), jnp.float32)
  integers = lambda *shape: jax.ShapeDtypeStruct((b, *shape), jnp.int32)
  return {'encode': (images,), 'decode': (integers(facts.variables),),
          'intervene': (images, integers()), 'retrieve': (images, images)}


def _flat(function: Any, model: CTVAE, flat: dict, *arrays: jax.Array) -> dict:
  """An inference function of weights by their names, the form in which they are stored."""
  return function(weights.unflatten(flat), *arrays, model=model)
