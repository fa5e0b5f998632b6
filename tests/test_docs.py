"""What the documentation shows works as it stands."""

import pathlib
import re
import sys

import chex
import numpy as np
import pytest

from cvq.data import builders, datasets, pipeline

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(name='bars')
def fixture_bars(tmp_path, monkeypatch):
  """The dataset and the config of docs/new_dataset.md, as modules."""
  blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'new_dataset.md').read_text(), re.S)
  assert len(blocks) == 2
  (tmp_path / 'bars.py').write_text(blocks[0])
  monkeypatch.setattr(builders, '__path__', [*builders.__path__, str(tmp_path)])
  monkeypatch.delitem(sys.modules, 'cvq.data.builders.bars', raising=False)
  scope = {}
  exec(blocks[1], scope)                               # pylint: disable=exec-used
  return scope['get_config']


def test_new_dataset(bars):
  config = bars('smoke').dataset
  dataset = datasets.load_dataset(config)
  batch = next(pipeline.train_iterator(dataset, config, batch_size=8, targets=2, seed=0))
  chex.assert_shape(batch['y'], (8, 2, 16, 16, 1))
  greys = np.asarray([0, 55, 95, 135, 175, 215, 255])
  assert set(np.unique(batch['x'])) <= set(greys)


@pytest.mark.parametrize('page', [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))],
                         ids=lambda path: path.name)
def test_links_and_files_exist(page):
  text = page.read_text()
  for target in re.findall(r'\]\(([^)#]+)\)', text):
    if not target.startswith('http'):
      assert (page.parent / target).exists(), target
  for path in re.findall(r'`((?:cvq|configs|tests|docs|launch|benchmarks)/[\w/.]*)`', text):
    assert (ROOT / path).exists() or path in ('configs/bars.py',), path
  for config in re.findall(r'--config=(configs/\w+\.py)', text):
    assert (ROOT / config).exists() or config == 'configs/bars.py', config
