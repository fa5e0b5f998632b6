"""The declared tables: every cell is a valid experiment, every column a figure that exists."""

import importlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from configs import tables as declared
from configs.tables import rows
from cvq import config as configuration
from cvq.data import splits
from cvq.data.builders import dsprites
from cvq.data.imbalance import parse_ratios
from cvq.evaluation import disentanglement, oracle
from cvq.sweep import cells, measure
from cvq.sweep.goals import Figure

TABLES = {table.name: table for table in declared.tables()}


def config_of(cell):
  """As the command line makes it: fields keep their types and must exist."""
  path, _, arg = cell.config.partition(':')
  module = importlib.import_module(path.removesuffix('.py').replace('/', '.'))
  config = module.get_config(arg)
  config.lock()
  config.update_from_flattened_dict(dict(cell.fields))
  return config


def test_every_cell_is_a_valid_experiment():
  for cell, measurements in cells.wanted(list(TABLES.values())).items():
    config = config_of(cell)
    configuration.validate(config)
    configuration.validate_image_shape(
        config, (64, 64, 1 if config.dataset.name == 'dsprites' else 3))
    assert config.dataset.name in cell.name and measurements <= measure.MEASUREMENTS.keys()
    parse_ratios(config.dataset.imbalance, dsprites.SPACE)
    if config.dataset.splits == 'compositional':
      splits.parse_ranges(config.dataset.held_out, dsprites.SPACE)


def test_tables_share_the_plain_runs():
  of = lambda name: set(cells.wanted([TABLES[name]]))
  assert of('interventions') < of('retrieval')
  assert of('disentanglement') < of('retrieval') and of('multi_step') < of('retrieval')
  for name in ('imbalance', 'compositional', 'sample_efficiency'):
    assert of(name) & of('retrieval') and of(name) - of('retrieval')
  assert of('ablations') & of('graph') == {rows.cell(
      'dsprites', 'ours', 'short', train__steps=rows.SHORT, **rows.LOCAL)}
  every = cells.wanted(list(TABLES.values()))
  assert every[rows.cell('dsprites', 'ours')] == measure.MEASUREMENTS.keys()


def test_goals_are_of_cells_of_the_tables():
  every = cells.wanted(list(TABLES.values()))
  for goal in declared.goals().goals:
    for figure in (goal.figure, goal.bound):
      if isinstance(figure, Figure):
        part = figure.column.figure.partition('.')[0]
        assert all(part in {'evaluation'} | every[cell] for cell in figure.cells), goal.title


def test_cells_of_one_name_must_agree():
  row = lambda **fields: cells.Row(('',), (rows.cell('dsprites', 'ours', 'x', **fields),))
  table = cells.Table('t', '', '', (), (), (row(train__steps=1), row(train__steps=2)))
  with pytest.raises(ValueError, match='dsprites-ours-x-seed0'):
    cells.wanted([table])


@pytest.mark.slow
def test_columns_name_figures_that_exist(tiny_run):
  result = {'evaluation': json.loads((tiny_run / 'evaluation.json').read_text())}
  rng = np.random.default_rng(0)
  factors = rng.integers(0, 2, (240, 2))
  score = lambda name: getattr(disentanglement, name)(factors, factors)
  names = ('dci', 'mig', 'sap', 'factor_vae', 'beta_vae', 'irs', 'infomec',
           'modularity_explicitness')
  scores = {name: score(name) for name in names}
  judged = {'columns': 2, 'trained': scores, 'untrained': scores}
  result['disentanglement'] = judged | {'local': judged}
  result['true_factors'] = {'whole': scores, 'folded': scores}
  ends = {'identical': 1., 'exact': 1.}
  result['multi_step'] = {
      str(n): {'beam': ends, 'greedy': ends, 'shown': ends, 'shown_search': ends}
      for n in (2, 4, 8)}
  right = np.ones((2, 2), bool)
  result['oracle'] = {of: oracle.tally(right, np.array([0, 1]))
                      for of in (*oracle.SUBJECTS, 'foreseeable')}
  for table in TABLES.values():
    for row, column in itertools.product(table.rows, table.columns):
      value = column.value(result, row.words)
      assert isinstance(value, (int, float)), (table.name, row.labels, column)
  for goal in declared.goals().goals:
    for figure in (goal.figure, goal.bound):
      if isinstance(figure, Figure):
        assert figure.values({cell.name: result for cell in figure.cells}), goal.title
  assert cells.Column('', 'evaluation.nothing.at_all').value(result) is None
  assert cells.Column('', 'evaluation.nothing', fold=min).value(result) is None


@pytest.mark.parametrize('arguments, parts', [
    (('--table=retrival',), ('--table=retrival', 'retrieval', 'ablations')),
    (('--cells=nothing*',), ('--cells=nothing*', '--list')),
    (('--parallel=0', '--list'), ('--parallel=0',))])
def test_bad_input_is_told(arguments, parts):
  done = subprocess.run([sys.executable, '-m', 'cvq.sweep', *arguments], text=True,
                        capture_output=True, timeout=120, check=False)
  assert done.returncode == 2 and 'Traceback' not in done.stderr
  for part in parts:
    assert part in done.stderr


def test_the_list_shows_every_cell_and_its_command(tmp_path):
  done = subprocess.run(
      [sys.executable, '-m', 'cvq.sweep', '--list', '--table=retrieval', '--cells=dsprites-*',
       f'--results={tmp_path}', f'--runs={tmp_path}'],
      text=True, capture_output=True, timeout=120, check=True)
  assert 'dsprites-inverse-seed2: missing' in done.stdout and 'shapes3d' not in done.stdout
  assert '--config=configs/baselines/inverse.py:dsprites --config.seed=2' in done.stdout
