"""The config.json of a work directory: a run goes on with the config that it was started with."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from cvq import files, parallel
from cvq.errors import UserError

# Fields of one layer, which another one ignores.
_OF_TIED = ('messages', 'reach', 'inner')
# A work directory may move to a machine that keeps its data elsewhere, and be traced there.
MAY_DIFFER = ('dataset.data_dir', 'log.trace')
# What was done before these fields gave a choice.
BEFORE = {
    'loss': {'code_entropy': 0.},
    'train': {'products': 'float32', 'predicted': 'first', 'optimizer': 'adam'},
    'model': {'temperature': 1., 'quantizer': {'gradient': 'straight_through'},
              'transition': {'messages': 'attention', 'reach': 2, 'inner': 32, 'rounds': 1,
                             'alternatives': 1, 'edges': 'learned', 'self_edges': 'learned',
                             'mistake': 'none'}}}


def to_json(config: Any) -> dict:
  """A ConfigDict as what JSON gives back: dicts, lists, numbers, strings."""
  return json.loads(config.to_json())


def check(workdir: str, config: Any, *, but: tuple[str, ...] = ()) -> None:
  """Refuses a work directory that belongs to another config.

  Args:
    workdir: may be new. config: of this run. but: beginnings of fields that may differ.

  Raises:
    UserError: naming every field that differs.
  """
  path = pathlib.Path(workdir) / 'config.json'
  if not path.exists():
    return
  remedy = 'Move it away to go on with the config given, or choose another --workdir.'
  before, now = files.read_json(path, remedy), to_json(config)
  try:
    before = _upgraded(before, now)
  except (AttributeError, TypeError, ValueError) as error:       # JSON, but of something else
    raise UserError(f'{path} is damaged: it holds no config.\n{remedy}') from error
  different = [f'{name}: {old} -> {new}' for name, old, new in _differences(before, now)
               if not name.startswith((*MAY_DIFFER, *but))]
  if different:
    raise UserError(f'{workdir} holds another run: {"; ".join(different)}.\n'
                    'Choose another --workdir, or give the config that it was started with.')


def split(workdir: str) -> str:
  """The split that the run of a work directory is evaluated on."""
  path = pathlib.Path(workdir) / 'config.json'
  return files.read_json(path, 'Put a good copy back.')['evaluation']['split']


def write(workdir: str, config: Any) -> None:
  """Writes WORKDIR/config.json, whole or not at all, where there is none yet."""
  path = pathlib.Path(workdir) / 'config.json'
  if parallel.first() and not path.exists():
    files.write_json(path, to_json(config))


def _upgraded(before: dict, now: dict) -> dict:
  """An older config with newer fields of `now`: no global level, and what was the only choice."""
  layer = now.get('model', {}).get('transition', {})
  if layer.get('name') == 'graph':
    before = filled(before, now, {'model': {'transition': {n: layer[n] for n in _OF_TIED}}})
  before = filled(before, now)
  if 'split_at' in now.get('train', {}) and 'train' in before:
    before = before | {'train': {'split_at': now['train']['split_at']} | before['train']}
  if 'train_global' not in before:
    before = before | {'train_global': now['train_global'] | {'steps': 0}}
    if 'global_level' in now['model'] and 'model' in before:
      level = {'global_level': now['model']['global_level'] | {'codes': 0}}
      weights = {k: v for k, v in now['loss'].items() if k.startswith('global_')}
      before |= {'model': level | before['model'], 'loss': weights | before.get('loss', {})}
  return before


def filled(before: dict, now: dict = BEFORE, missing: dict = BEFORE) -> dict:
  """`before` with those fields of `missing` that `now` has too, in the groups that it has."""
  found = dict(before)
  for name in missing.keys() & now.keys():
    if not isinstance(missing[name], dict):
      found.setdefault(name, missing[name])
    elif name in found:
      found[name] = filled(found[name], now[name], missing[name])
  return found


def _differences(before: dict, now: dict, prefix: str = '') -> list[tuple[str, Any, Any]]:
  """(field, old, new) for every leaf that differs."""
  found = []
  for key in sorted(before.keys() | now.keys()):
    name, a, b = prefix + key, before.get(key), now.get(key)
    if isinstance(a, dict) and isinstance(b, dict):
      found += _differences(a, b, f'{name}.')
    elif a != b:
      found.append((name, a, b))
  return found
