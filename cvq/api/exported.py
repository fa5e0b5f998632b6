"""Loads what `cvq.api.export` wrote. Needs JAX, NumPy and flatbuffers: no Flax, no model."""

from __future__ import annotations

import functools
import json
import pathlib

import jax
from jax import export as jax_export
import numpy as np

from cvq.api.interface import Facts, Interface
from cvq.errors import UserError

FORMAT = 'cvq-export-1'
FUNCTIONS = ('encode', 'decode', 'intervene', 'retrieve')


class Exported(Interface):
  """An exported model: encode, decode, intervene and retrieve, as the one it was made from."""


def load_exported(path: str | pathlib.Path) -> Exported:
  """A model from a directory that `Model.export` wrote.

  Args:
    path: of the directory.

  Raises:
    UserError: it does not hold an exported model, or a damaged one.
  """
  folder = pathlib.Path(path)
  try:
    fields = json.loads((folder / 'model.json').read_text())
    if fields.pop('format') != FORMAT:
      raise ValueError(f'its format is not {FORMAT}')
    facts = Facts(**{name: tuple(value) if isinstance(value, list) else value
                     for name, value in fields.items()})
    with np.load(folder / 'weights.npz', allow_pickle=False) as file:
      weights = jax.device_put(dict(file))
    modules = {name: jax_export.deserialize(bytearray((folder / f'{name}.stablehlo').read_bytes()))
               for name in FUNCTIONS}
  except Exception as error:  # a damaged file is met with many types of exceptions
    raise UserError(f'{path} holds no exported model: {error}.\nMake one with '
                    'cvq.load(WORKDIR).export(PATH)') from error
  return Exported(facts, {name: functools.partial(jax.jit(module.call), weights)
                          for name, module in modules.items()})
