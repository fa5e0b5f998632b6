"""Tests of cvq.evaluate."""

import json
import shutil

import numpy as np
import pytest

from cvq import evaluate, session, stored_config
from cvq.data import pipeline
from tests import tiny


@pytest.mark.slow
def test_imbalanced_training_is_evaluated_balanced_and_as_drawn(tmp_path, capsys):
  config = tiny.get_config()
  config.dataset.update(imbalance='scale=1000', actions='natural', data_dir=str(tmp_path))
  run = session.open_run(config)
  stored_config.write(str(tmp_path), config)
  result = evaluate.write_evaluation(run, run.state, config, str(tmp_path))
  assert json.loads((tmp_path / 'evaluation.json').read_text()) == result
  balanced, drawn = result['retrieval'], result['imbalanced']['retrieval']
  assert balanced['pairs'] == drawn['pairs'] == 40
  assert balanced['majority_directed'] == .1 and drawn['majority_directed'] > .1
  counts = pipeline.open_transitions(
      run.dataset.images, config.dataset, 'test', imbalanced=False).counts
  np.testing.assert_allclose(balanced['natural_majority_directed'], counts.max() / counts.sum())
  # Small sprites are drawn a thousand times as often as large ones: copying x is better there.
  assert result['imbalanced']['intervention']['copy_mse'] < result['intervention']['copy_mse']
  text = capsys.readouterr().out
  assert 'drawn as in training: action' in text and '(not levelled: 0.1' in text


@pytest.mark.slow
def test_alone_it_gives_the_figures_that_training_ended_with(tiny_run, tmp_path):
  workdir = shutil.copytree(tiny_run, tmp_path / 'run')
  trained = json.loads((workdir / 'evaluation.json').read_text())
  (workdir / 'evaluation.json').unlink()
  result = evaluate.evaluate(tiny.get_config(), str(workdir))
  assert json.loads((workdir / 'evaluation.json').read_text()) == result
  assert result | {'seconds': 0} == trained | {'seconds': 0}


def test_another_split_leaves_the_evaluation_of_the_run_alone(tmp_path, monkeypatch, capsys):
  config = tiny.get_config()
  stored_config.write(str(tmp_path), config)
  monkeypatch.setattr(evaluate, 'evaluate_run', lambda run, state, config: {
      'split': config.evaluation.split})
  monkeypatch.setattr(evaluate.headline, 'headline', str)
  for split in ('test', 'validation'):
    config.evaluation.split = split
    evaluate.write_evaluation(None, None, config, str(tmp_path))
  found = {path.name: json.loads(path.read_text()) for path in tmp_path.glob('evaluation*')}
  assert found == {'evaluation.json': {'split': 'test'},
                   'evaluation-validation.json': {'split': 'validation'}}
  assert 'evaluation-validation.json' in capsys.readouterr().out


def test_global_level_counts_what_moved_and_what_stayed():
  names = ('shape+1', 'scale+1', 'shape-1', 'scale-1')
  table = {
      'posterior': np.eye(4)[[0, 1, 2, 2]], 'action': np.array([0, 1, 2, 2]),
      'visible': np.ones(4, bool), 'global_changed': np.array([1, 2, 1, 0]),
      'global_moved': np.array([True, True, True, False]),
      'global_stayed': np.array([True, False, True, True])}
  found = evaluate.summarise(table, None, names)['global_level']
  assert found == {'variables': 2, 'changed_per_step': 1., 'moved': .75, 'stayed': .75,
                   'moved_per_factor': {'shape': pytest.approx(2 / 3), 'scale': 1.}}
