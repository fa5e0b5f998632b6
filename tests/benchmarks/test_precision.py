"""The benchmark of rounded products trains both settings on the same seeds, and compares them."""

import json
import sys

from benchmarks import precision


def evaluation(directed, mse):
  return {'retrieval': {'directed': directed, 'factor': .5, 'pairs': 40},
          'intervention': {'mse': mse}, 'reconstruction': {'mse': .001}, 'split': 'test'}


def test_rows_show_every_seed_and_the_difference_of_the_means():
  found = {'float32': [evaluation(.5, .01), evaluation(.6, .02)],
           'bfloat16': [evaluation(.4, .015), evaluation(.6, .021)]}
  rows = precision.rows_of(found)
  assert rows[0] == {
      'figure': 'directed retrieval', 'float32, each seed': '0.500 / 0.600',
      'bfloat16, each seed': '0.400 / 0.600', 'difference of means': '-0.050'}
  assert rows[2]['difference of means'] == '+0.00300'
  assert [row['figure'] for row in rows] == [name for name, *_ in precision.FIGURES]


def test_settings_take_turns_on_the_same_seeds(tmp_path, monkeypatch, capsys):
  asked = []

  def train(config, products, seed, workdir):
    asked.append((config, products, seed))
    assert not workdir.exists()
    return evaluation(.5, .01)

  monkeypatch.setattr(precision, 'train', train)
  monkeypatch.setattr(sys, 'argv', [
      'precision', f'--results={tmp_path}', '--repeats=2', '--config=tests/tiny.py'])
  precision.main()
  assert asked == [('tests/tiny.py', products, seed) for seed in (0, 1)
                   for products in ('float32', 'bfloat16')]
  assert '| directed retrieval | 0.500 / 0.500 |' in capsys.readouterr().out
  assert json.loads((tmp_path / 'precision.json').read_text())['notes']['note'] == (
      'tests/tiny.py, seeds 0 to 1; 40 transitions of the split test each.')
