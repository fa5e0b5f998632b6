"""Reading work directories: curves, groups of runs, and what is said of damaged files."""

import json
import statistics

import numpy as np
import pytest

from cvq.errors import UserError
from cvq.report import runs


def evaluation(seed=0, directed=.9):
  return {'retrieval': {'directed': directed, 'factor': .95, 'expected_calibration_error': .01},
          'intervention': {'mse': .004, 'mse_codes': .007}, 'reconstruction': {'mse': .001},
          'codes': {'changed_per_step': 4., 'mask_recall': None, 'mask_precision': None},
          'step': 10, 'seed': seed, 'dataset': 'toy (rendered)', 'split': 'test'}


@pytest.fixture(name='write')
def fixture_write(tmp_path):
  def write(name, seed=0, directed=.9, **fields):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'evaluation.json').write_text(json.dumps(evaluation(seed, directed)))
    config = {'seed': seed, 'dataset': {'data_dir': name, 'name': 'toy'}, 'train': {'steps': 5}}
    config['train'] |= fields
    (tmp_path / name / 'config.json').write_text(json.dumps(config))
    return str(tmp_path / name)
  return write


def test_runs_that_differ_in_the_seed_alone_are_one_group(write):
  found = runs.compare([write('a', 0, .9), write('b', 1, .8), write('c', 2, .5, steps=6),
                        write('d', 3, .7, optimizer='adam')])       # as was before the choice
  assert [run['group'] for run in found['runs']] == [0, 0, 1, 0]
  group, = found['groups']
  assert group['runs'] == ['a', 'b', 'd'] and group['seeds'] == [0, 1, 3]
  assert group['mean']['directed'] == pytest.approx(.8)
  assert group['deviation']['directed'] == pytest.approx(statistics.stdev([.9, .8, .7]))
  assert (group['least']['directed'], group['most']['directed']) == (.7, .9)
  assert group['mean']['mask_recall'] is None
  assert runs.compare([write('e')])['groups'] == []


def test_a_baseline_has_the_figures_that_it_has(write, tmp_path):
  inverse = write('inverse', 0, .99)
  path = tmp_path / 'inverse' / 'evaluation.json'
  found = {name: part for name, part in json.loads(path.read_text()).items()
           if name not in ('intervention', 'reconstruction', 'codes')}
  path.write_text(json.dumps(found))
  run, = runs.compare([inverse])['runs']
  assert run['figures']['directed'] == .99
  assert run['figures']['mse'] is run['figures']['changed'] is None
  path.write_text(json.dumps({name: found[name] for name in ('retrieval', 'seed')}))
  with pytest.raises(UserError, match='lacks figures'):
    runs.compare([inverse])


def test_messages(write, tmp_path):
  with pytest.raises(UserError, match='none holds no evaluation.json'):
    runs.compare([str(tmp_path / 'none')])
  broken = write('broken')
  for name in ('evaluation.json', 'config.json'):
    whole = (tmp_path / 'broken' / name).read_text()
    (tmp_path / 'broken' / name).write_text(whole[:20])
    with pytest.raises(UserError, match=f'{name} is damaged'):
      runs.compare([broken])
    (tmp_path / 'broken' / name).write_text(whole)
  (tmp_path / 'broken' / 'config.json').unlink()
  with pytest.raises(UserError, match='no config.json'):
    runs.compare([broken])


def test_curves_leave_out_what_is_no_figure_and_half_a_line(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text(
      '{"step": 2, "train/loss": 3.0, "seconds": 1.0}\n{"step": 4, "train/loss": null}\n'
      '{"step": 4, "validation/retrieval/directed": 0.5}\n{"train/loss": 2.0}\n12\n'
      '{"step": 6, "train/lo')
  assert runs.curves(str(tmp_path)) == {
      'train/loss': {'step': [2], 'value': [3.]},
      'validation/retrieval/directed': {'step': [4], 'value': [.5]}}
  assert runs.curves(str(tmp_path / 'none')) == {}


def test_plain_is_fit_for_strict_json():
  value = runs.plain({'a': np.array([1., np.nan]), 'b': (np.int64(3), float('inf')), 1: 'text',
                      'c': [{'d': np.float32(.5)}]})
  assert value == {'a': [1., None], 'b': [3, None], '1': 'text', 'c': [{'d': .5}]}
  json.dumps(value, allow_nan=False)
