"""The benchmark of the pipeline compares like with like, and runs."""

import random
import sys

import chex

from benchmarks import pipeline as benchmark
from configs import common
from cvq.data import datasets, pipeline


def test_plain_loop_gives_the_same_kind_of_batch(tmp_path):
  config = common.base().dataset
  config.update(name='dsprites', source='rendered', data_dir=str(tmp_path))
  dataset = datasets.load_dataset(config)
  plain = benchmark.plain_batch(dataset, config, 8, 4, random.Random(0))
  batch = next(pipeline.train_iterator(dataset, config, batch_size=8, targets=4, seed=0))
  chex.assert_trees_all_equal_shapes_and_dtypes(plain, batch)
  for images in (plain, batch):
    assert (images['x'][:, None] != images['y']).any((2, 3, 4)).all()


def test_runs(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', [
      'pipeline', f'--data_dir={tmp_path}', f'--results={tmp_path}', '--seconds=.01',
      '--repeats=1'])
  benchmark.main()
  assert capsys.readouterr().out.count(' / ') == 2 * 3
