"""Whole runs of baselines: one harness, evaluation.json with the same keys, resume bit for bit."""

import functools
import json
import signal
import types

import jax
import numpy as np
import pytest

import cvq
from cvq import evaluate, train
from cvq.data import pipeline
from cvq.errors import Interrupted, UserError
from cvq.evaluation import factor_reader
from cvq.sweep import measure
from tests.baselines import toy


@pytest.fixture(scope='module', name='whole')
def fixture_whole(tmp_path_factory):
  """.workdir, .result, .config of an unbroken toy run of QLAE."""
  workdir, config = tmp_path_factory.mktemp('baseline') / 'whole', toy.get_config('qlae')
  return types.SimpleNamespace(
      workdir=workdir, config=config, result=train.train(config, str(workdir)))


@pytest.mark.slow
def test_resume_is_bit_for_bit(whole, tmp_path):
  class Broken(train.Loop):
    def _train_one(self, progress):
      super()._train_one(progress)
      if self.step == 4:                      # its checkpoint is still to come: it must be written
        signal.raise_signal(signal.SIGTERM)
  with pytest.raises(Interrupted):
    Broken(whole.config, str(tmp_path)).run()
  again = train.train(whole.config, str(tmp_path))
  assert {k: v for k, v in again.items() if k != 'seconds'} == \
      {k: v for k, v in whole.result.items() if k != 'seconds'}
  states = [evaluate.open_checkpoint(whole.config, str(folder), mode='evaluate')[1]
            for folder in (whole.workdir, tmp_path)]
  assert [restored.step for restored in states] == [6, 6]
  for a, b in zip(*(jax.tree.leaves(restored.state) for restored in states), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_evaluation_has_the_keys_that_apply(whole, tiny_run):
  ours = json.loads((tiny_run / 'evaluation.json').read_text())
  assert json.loads((whole.workdir / 'evaluation.json').read_text()) == whole.result
  assert ours.keys() - whole.result.keys() == {'global_level'}
  assert whole.result.keys() <= ours.keys()
  assert whole.result['retrieval'].keys() == ours['retrieval'].keys()
  assert ours['intervention'].keys() - whole.result['intervention'].keys() == {'mse_codes'}
  assert whole.result['codes']['variables'] == whole.config.model.latents
  assert whole.result['codes'].keys() < ours['codes'].keys()
  drawn = {path.name.rpartition('_')[0] for path in (whole.workdir / 'pictures').iterdir()}
  assert drawn == {'reconstructions', 'interventions'}


@pytest.mark.slow
def test_an_inverse_model_generates_nothing(tmp_path, capsys):
  config = toy.get_config('inverse')
  config.dataset.imbalance = 'scale=10'
  result = train.train(config, str(tmp_path))
  assert 'retrieval' in result and not {'intervention', 'reconstruction', 'codes'} & result.keys()
  assert result['imbalanced'].keys() == {'retrieval'}
  assert not (tmp_path / 'pictures').exists() or not list((tmp_path / 'pictures').iterdir())
  text = capsys.readouterr().out
  assert 'retrieval of the action' in text and 'MSE' not in text
  found = measure.measure(config, str(tmp_path), ['disentanglement', 'oracle'])
  assert found['disentanglement'] == found['oracle'] == {}
  run, restored = evaluate.open_checkpoint(config, str(tmp_path), mode='evaluate')
  shown = measure.multi_step(run, restored.state, config, str(tmp_path), steps=(2,), pairs=4)['2']
  assert shown['pairs'] == 4 and 0 <= shown['shown']['factors'] <= 1


@pytest.mark.slow
def test_measurements_of_a_representation(whole, monkeypatch):
  monkeypatch.setattr(measure.battery, 'SLOW', {})
  for name in ('disentanglement', 'true_factors'):
    monkeypatch.setitem(measure.MEASUREMENTS, name, functools.partial(
        getattr(measure, name), images=100))
  monkeypatch.setitem(measure.MEASUREMENTS, 'multi_step', lambda *args: measure.multi_step(
      *args, steps=(2,), pairs=4))
  found = measure.measure(whole.config, str(whole.workdir), [
      'disentanglement', 'multi_step', 'true_factors'])
  assert json.loads((whole.workdir / 'measured.json').read_text()) == found
  part = found['disentanglement']
  assert part['images'] == 100 and part['columns'] == whole.config.model.latents
  for of in ('trained', 'untrained'):
    assert {'mig', 'factor_vae', 'beta_vae', 'irs'} <= part[of].keys()
  assert {'shown', 'shown_search', 'beam', 'greedy'} < found['multi_step']['2'].keys()
  most = found['true_factors']
  assert most['whole']['mig']['mig'] > most['folded']['mig']['mig'] > part['trained']['mig']['mig']
  assert found['multi_step']['2']['pairs'] == 4 and found['versions']['cvq'] == cvq.__version__
  with pytest.raises(UserError, match="Unknown measurement 'mgi'"):
    measure.measure(whole.config, str(whole.workdir), ['mgi'])


@pytest.mark.slow
def test_the_oracle_reads_its_images(whole, monkeypatch):
  run, restored = evaluate.open_checkpoint(whole.config, str(whole.workdir), mode='evaluate')
  seen = []

  class Eyes:
    about, seconds = {'steps': 0}, 0.

    def read(self, images):
      seen.append(images)
      return np.zeros((len(images), 5), int)
  monkeypatch.setattr(factor_reader, 'open_reader', lambda *_, **__: Eyes())
  found = measure.oracle(run, restored.state, whole.config, str(whole.workdir))
  assert found['pairs'] == whole.config.evaluation.examples == sum(map(len, seen[::4]))
  source, target, action = pipeline.open_transitions(
      run.dataset.images, whole.config.dataset, 'test', imbalanced=False).choose(
          examples=whole.config.evaluation.examples, seed=whole.config.evaluation.seed)
  x, y = (run.dataset.images.read(part).astype(np.float32) / 255 for part in (source, target))
  images = run.model.apply({'params': restored.state.params}, x, y, action,
                           method=run.model.judge)['images']
  of_model, truth, reconstruction, copy = seen
  np.testing.assert_allclose(of_model, images['intervention'], atol=1e-5)
  np.testing.assert_allclose(reconstruction, images['reconstruction'], atol=1e-5)
  np.testing.assert_array_equal(truth / np.float32(255), y)
  np.testing.assert_array_equal(copy / np.float32(255), x)


@pytest.mark.slow
def test_rows_of_a_representation_are_those_of_the_images(whole):
  run, restored = evaluate.open_checkpoint(whole.config, str(whole.workdir), mode='evaluate')
  index = np.array([5, 70_000, 5, 123_456, 9])
  rows = measure.represent(run, restored.state, index, batch_size=2)
  assert rows.shape == (5, whole.config.model.latents) and rows.dtype == np.int32
  alone = np.concatenate([measure.represent(run, restored.state, index[i:i + 1], batch_size=2)
                          for i in range(5)])
  np.testing.assert_array_equal(rows, alone)
  np.testing.assert_array_equal(rows[0], rows[2])


@pytest.mark.slow
def test_the_api_and_the_report_say_what_a_baseline_has_not(whole):
  with pytest.raises(UserError, match='holds a baseline .qlae.'):
    cvq.load(whole.workdir)
