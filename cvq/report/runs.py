"""What work directories hold, read and checked: of the run itself, and of those beside it."""

from __future__ import annotations

import json
import math
import pathlib
import statistics
from typing import Any

from cvq import files, stored_config
from cvq.config import leaves
from cvq.errors import UserError

# Figures of evaluation.json that runs are compared by.
COMPARED = {
    'directed': ('retrieval', 'directed'),
    'factor': ('retrieval', 'factor'),
    'calibration': ('retrieval', 'expected_calibration_error'),
    'mse': ('intervention', 'mse'),
    'mse_codes': ('intervention', 'mse_codes'),
    'reconstruction': ('reconstruction', 'mse'),
    'changed': ('codes', 'changed_per_step'),
    'global_moved': ('global_level', 'moved'),
    'global_stayed': ('global_level', 'stayed'),
    'mask_recall': ('codes', 'mask_recall'),
    'mask_precision': ('codes', 'mask_precision')}
# Where configs of one group may differ.
_OF_NO_ACCOUNT = (*stored_config.MAY_DIFFER, 'seed', 'evaluation.oracle_steps',
                  'evaluation.plan_pairs', 'evaluation.plan_beam')
# What every evaluation has; that of a baseline may lack images and codes.
_ALWAYS = {'retrieval', 'dataset', 'split', 'step', 'seed'}


def evaluation(workdir: str) -> dict | None:
  """What evaluation.json holds, None where there is none. Raises UserError if it is damaged."""
  path = pathlib.Path(workdir) / 'evaluation.json'
  if not path.exists():
    return None
  found = files.read_json(path, 'Move it away; then --mode=evaluate writes it anew.')
  if not isinstance(found, dict) or not _ALWAYS <= found.keys():
    raise UserError(f'{path} lacks figures that every evaluation has: it is damaged, or of another '
                    'version.\nMove it away; then --mode=evaluate writes it anew.')
  return found


def curves(workdir: str) -> dict[str, dict[str, list]]:
  """{name: {'step': [...], 'value': [...]}} of metrics.jsonl, {} where there is none."""
  path = pathlib.Path(workdir) / 'metrics.jsonl'
  found: dict[str, dict[str, list]] = {}
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      row = json.loads(line)
      step = row.pop('step')
    except (ValueError, KeyError, AttributeError):     # the last line of a killed process
      continue
    for name, value in row.items():
      if name.startswith(('train/', 'validation/')) and value is not None:
        curve = found.setdefault(name, {'step': [], 'value': []})
        curve['step'].append(step)
        curve['value'].append(value)
  return found


def compare(workdirs: list[str]) -> dict:
  """Runs side by side, and mean and spread over those that differ in nothing but the seed.

  Args:
    workdirs: each with evaluation.json and config.json.

  Returns:
    {'runs': [{'name', 'group', 'seed', 'step', 'dataset', 'split', 'figures': {...}}],
     'groups': [{'runs', 'seeds', 'mean': {...}, 'deviation': {...}, 'least', 'most'}]}: groups
    have at least two runs, `deviation` is the standard deviation with n - 1; figures are those
    of `COMPARED`.

  Raises:
    UserError: naming the directory and what it lacks.
  """
  runs, configs = [], []
  for workdir in workdirs:
    folder = pathlib.Path(workdir)
    found = evaluation(workdir)
    if found is None:
      raise UserError(f'--compare: {workdir} holds no evaluation.json.\n'
                      'Train that run to its end, or evaluate it with --mode=evaluate')
    if not (folder / 'config.json').exists():
      raise UserError(f'--compare: {workdir} holds no config.json, so it is not a work directory '
                      'of cvq.')
    config = dict(leaves(stored_config.filled(
        files.read_json(folder / 'config.json', 'Put a good copy back.'))))
    for field in _OF_NO_ACCOUNT:
      config.pop(field, None)
    if config not in configs:
      configs.append(config)
    figures = {name: found.get(part, {}).get(figure) for name, (part, figure) in COMPARED.items()}
    runs.append({
        'name': folder.absolute().name, 'group': configs.index(config), 'figures': figures,
        **{name: found[name] for name in ('seed', 'step', 'dataset', 'split')}})
  return {'runs': runs, 'groups': [
      _group([run for run in runs if run['group'] == g]) for g in range(len(configs))
      if sum(run['group'] == g for run in runs) > 1]}


def _group(runs: list[dict]) -> dict:
  columns = {name: [run['figures'][name] for run in runs] for name in COMPARED}
  told = {name: column for name, column in columns.items() if None not in column}
  over = lambda function: {
      name: function(told[name]) if name in told else None for name in COMPARED}
  return {'runs': [run['name'] for run in runs], 'seeds': [run['seed'] for run in runs],
          'mean': over(statistics.fmean), 'deviation': over(statistics.stdev),
          'least': over(min), 'most': over(max)}


def plain(value: Any) -> Any:
  """A value fit for JSON: arrays become lists, and what is not finite None."""
  if isinstance(value, dict):
    return {str(key): plain(item) for key, item in value.items()}
  if hasattr(value, 'tolist'):
    value = value.tolist()
  if isinstance(value, (list, tuple)):
    return [plain(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
