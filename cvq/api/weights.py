"""Weights in one safetensors file, with the config and the names that make a model of them."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from flax import traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy

from cvq import files, runs
from cvq.description import Description
from cvq.errors import UserError

_FORMAT = 'cvq-1'


def write(path: str | pathlib.Path, trained: runs.Trained) -> None:
  """Writes a model; its arrays are called 'params/...' and 'codebook/...'.

  Raises:
    UserError: a path that does not end in .safetensors or can't be written.
  """
  if not str(path).endswith('.safetensors'):
    raise UserError(f'{path} must end in .safetensors, by which cvq.load knows such a file.')
  metadata = {
      'format': _FORMAT, 'version': trained.version, 'step': str(trained.step),
      'config': trained.config.to_json(), 'model': json.dumps(trained.description.to_json()),
      'evaluation': json.dumps(trained.evaluation)}
  try:
    files.write_bytes(path, safetensors.numpy.save(flatten(trained.variables), metadata))
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror}.') from error


def read(path: str | pathlib.Path) -> runs.Trained:
  """A model that `write` wrote.

  Raises:
    UserError: no such file, a damaged one, or one that is not of this program.
  """
  if not pathlib.Path(path).is_file():
    raise UserError(f'{path}: no such file.')
  try:
    with safetensors.safe_open(path, framework='numpy') as file:
      metadata, names = file.metadata() or {}, list(file.keys())
      arrays = {name: file.get_tensor(name) for name in names}
  except safetensors.SafetensorError as error:
    raise UserError(f'{path} is damaged, or no safetensors file: {error}.') from error
  if metadata.get('format') != _FORMAT:
    raise UserError(f'{path} was not written by Model.save_safetensors: its metadata lacks '
                    f'format={_FORMAT}.')
  try:
    config = runs.to_config(json.loads(metadata['config']))
    about = Description.from_json(json.loads(metadata['model']))
    step, version = int(metadata['step']), metadata['version']
    evaluation = json.loads(metadata['evaluation'])
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(f'{path} is damaged: its metadata are not those of a model ({error}).'
                    ) from error
  _check(path, arrays, runs.abstract_state(config, about).variables)
  return runs.Trained(
      config, about, jax.device_put(unflatten(arrays)), step, version, evaluation)


def flatten(variables: Any) -> dict[str, np.ndarray]:
  """Nested collections -> {'params/encoder/...': array}."""
  flat = traverse_util.flatten_dict(variables, sep='/')
  return {name: np.array(value, order='C') for name, value in flat.items()}


def unflatten(arrays: dict) -> dict:
  """Inverse of `flatten`."""
  return traverse_util.unflatten_dict(arrays, sep='/')


def _check(path: Any, arrays: dict, abstract: Any) -> None:
  shapes = lambda flat: {name: (tuple(x.shape), np.dtype(x.dtype)) for name, x in flat.items()}
  found, expected = shapes(arrays), shapes(traverse_util.flatten_dict(abstract, sep='/'))
  wrong = sorted(name for name in found.keys() | expected.keys()
                 if found.get(name) != expected.get(name))
  if wrong:
    name = wrong[0]
    raise UserError(f'{path} does not hold the arrays of its config: {name} is '
                    f'{found.get(name, "missing")}, expected {expected.get(name, "none")}'
                    f'{f", and {len(wrong) - 1} others" if wrong[1:] else ""}.')
