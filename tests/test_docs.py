"""What the documentation shows works as it stands."""

import os
import pathlib
import re
import subprocess
import sys

import chex
import jax
import nbclient
import nbformat
import numpy as np
import pytest

from cvq import config as configuration, inference
from cvq.data import builders, datasets, pipeline
from cvq.models import ct_vae
from cvq.models.encoder import ENCODERS
from tests import small

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PRESET = "dsprites.get_config('smoke')"   # of the tutorial


def python_blocks(page: str) -> list[str]:
  """Sources of the Python blocks of a page in docs/."""
  return re.findall(r'```python\n(.*?)```', (DOCS / page).read_text(), re.S)


def run_page(page: str) -> dict:
  """The names that a page's Python leaves, its blocks run one after another."""
  scope: dict = {}
  for block in python_blocks(page):
    exec(block, scope)                                 # pylint: disable=exec-used
  return scope


@pytest.fixture(name='bars')
def fixture_bars(tmp_path, monkeypatch):
  """The dataset and the config of docs/new_dataset.md, as modules."""
  blocks = python_blocks('new_dataset.md')
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
  paper = bars('paper')
  configuration.validate(paper)
  listed = pipeline.open_transitions(dataset.images, paper.dataset, 'train')
  assert paper.train.mode_weights[1] == listed.counts.sum()


def test_new_encoder(monkeypatch):
  encoder = run_page('new_encoder.md')['AveragingEncoder']
  monkeypatch.setitem(ENCODERS, 'averaging', encoder)
  name = 'model.encoder.name'
  monkeypatch.setitem(configuration.CHOICES, name, (*configuration.CHOICES[name], 'averaging'))
  config = small.config(model__encoder__name='averaging')
  configuration.validate(config)
  configuration.validate_image_shape(config, small.SHAPE)
  model = ct_vae.build(config.model, small.SHAPE, small.NUM_ACTIONS)
  assert isinstance(model.encoder, encoder)
  images = small.batch()['x'] / np.float32(255)

  def there_and_back():
    variables = model.init(jax.random.key(0), images, model.every_action(len(images)))
    codes = inference.encode(variables, images, model=model)['codes']
    return codes, inference.decode(variables, codes, model=model)['images']

  codes, decoded = jax.eval_shape(there_and_back)      # shapes; nothing is compiled
  chex.assert_shape(codes, (len(images), model.quantizer.codebooks * 2 * 2))
  chex.assert_shape(decoded, images.shape)


def test_imbalance():
  shapes = run_page('imbalance.md')['shapes']
  # Weights 10 : 10 ** .5 : 1; in a tenth of the draws each, one end is left out.
  weights = np.array([10, 10 ** .5, 1])
  drawn = .8 * weights / weights.sum()
  drawn[:2] += .1 * weights[:2] / weights[:2].sum()
  drawn[1:] += .1 * weights[1:] / weights[1:].sum()
  np.testing.assert_allclose(shapes, drawn, atol=.02)


def test_compositional():
  assert run_page('compositional.md')['held_out'] == {'train': 0., 'test': 1.}


def test_metrics():
  scope = run_page('metrics.md')
  mig, codes, factors, mixed = (scope[name] for name in ('mig', 'codes', 'factors', 'mixed'))
  assert mig(codes, factors)['mig'] > .98
  assert min(scope['infomec'](codes, factors).values()) > .98
  assert .9 < mig(mixed, factors)['mig'] < mig(codes, factors)['mig']
  assert (scope['figures']['directed'], scope['figures']['factor']) == (.75, 1.)


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path):
  """Strictly; and no page asks the network for a script, a style, a font or a picture."""
  done = subprocess.run(
      [sys.executable, '-m', 'sphinx', '-W', '-q', '-d', tmp_path / 'doctrees', DOCS,
       tmp_path / 'site'], cwd=ROOT, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  pages = {path.stem: path.read_text() for path in (tmp_path / 'site').glob('*.html')}
  assert pages.keys() >= {path.stem for path in DOCS.glob('*.md')} | {'tutorial'}
  for name, text in pages.items():
    loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="([^"]+)"', text)
    assert not [url for url in loaded if re.match(r'(https?:)?//', url)], name
    shown = re.findall(r'<img\b[^>]*src="_images[^>]*>', text)
    assert all(re.search(r'alt="[^"./]{10,}', picture) for picture in shown), name
  assert '<math' in pages['concepts'] and 'data:image/png' not in pages['concepts']
  assert 'cvq.api.model.Model.intervene' in pages['api']


def test_tutorial_is_stored_with_outputs():
  path = DOCS / 'tutorial.ipynb'
  assert path.stat().st_size < 1_000_000
  cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
  assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
  outputs = [output for cell in cells for output in cell.outputs]
  assert not [o for o in outputs if o.output_type == 'error' or o.get('name') == 'stderr']
  assert sum('image/png' in output.get('data', {}) for output in outputs) >= 6


@pytest.mark.slow
def test_tutorial_runs(monkeypatch):
  """Top to bottom, in a kernel of its own that compiles fast; with a toy model."""
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  monkeypatch.setenv('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
  monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), *filter(None, [
      os.environ.get('PYTHONPATH')])]))
  notebook = nbformat.read(DOCS / 'tutorial.ipynb', 4)
  cell, = (cell for cell in notebook.cells if PRESET in cell.source)
  cell.source = f'from tests import tiny\n{cell.source.replace(PRESET, "tiny.get_config()")}'
  client = nbclient.NotebookClient(
      notebook, timeout=900, kernel_name='python3', resources={'metadata': {'path': str(DOCS)}})
  client.execute()                                     # raises where a cell does


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
