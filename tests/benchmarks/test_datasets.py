"""The benchmark of the datasets compares like with like, and runs."""

import sys

import chex
import jax
import numpy as np

from benchmarks import datasets as benchmark
from configs import dsprites
from cvq.data import datasets, pipeline


def test_batches_are_transitions_of_the_training_split(tmp_path):
  config = dsprites.get_config().dataset
  config.data_dir = str(tmp_path)
  dataset = datasets.load_dataset(config)
  plain, ready = (benchmark.Transitions(dataset, config, ready=ready) for ready in (False, True))
  assert len(plain) == len(ready) == 10_000
  chex.assert_trees_all_equal(plain[3], ready[3])
  x, y, action = plain[3]
  chex.assert_shape((x, y), (64, 64, 1))
  target, _ = dataset.space.step(plain.source[3], action)
  chex.assert_trees_all_equal(y, dataset.images.read(target[None])[0])
  ours = next(benchmark.our_batches(dataset, config, 8))
  assert isinstance(ours['x'], jax.Array)
  expected = next(pipeline.train_iterator(dataset, config, batch_size=8, targets=1, seed=0))
  chex.assert_trees_all_equal(jax.device_get(ours), expected)


def test_rate_counts_every_example():
  def batches():
    while True:
      yield np.zeros(3)
  assert benchmark.rate(batches(), 10, .01) > 10 / .01


def test_runs_without_the_peer(tmp_path, monkeypatch, capsys):
  monkeypatch.setenv('CVQ_DATA_DIR', str(tmp_path))
  monkeypatch.setattr(benchmark.importlib.util, 'find_spec', lambda name: None)
  monkeypatch.setattr(sys, 'argv', ['datasets', '--datasets', 'dsprites', 'sprites',
                                    '--seconds=.01', '--repeats=1'])
  benchmark.main()
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in lines if line.startswith(('dsprites', 'sprites'))] == [
      'dsprites', 'dsprites', 'sprites']
  assert 'left out' in lines[-1]
