"""Tests of cvq.data.datasets and of what happens to prepared data that is missing or damaged."""

import fcntl
import importlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import chex
import numpy as np
import pytest

from cvq.data import builders, datasets, prepare
from cvq.data.builders import dsprites
from cvq.data.render import dsprites as render
from cvq.errors import UserError

INDEX = np.random.default_rng(0).integers(0, 737_280, 300)


def folder(config) -> pathlib.Path:
  return prepare.folder_of(dsprites.DspritesRendered, pathlib.Path(config.data_dir))


def shard(config) -> pathlib.Path:
  return next(folder(config).glob('*.array_record*'))


def files(directory: pathlib.Path) -> dict:
  return {path: path.stat().st_size for path in directory.rglob('*') if path.is_file()}


@pytest.fixture(name='prepared')
def fixture_prepared(dataset_config):
  datasets.load_dataset(dataset_config)
  return dataset_config


def test_rendered_dsprites(dataset_config):
  """Images are the rendered sprites at their places, before and after preparation."""
  first = datasets.load_dataset(dataset_config)
  assert first.name == 'dsprites'
  assert first.space.names == ('shape', 'scale', 'orientation', 'posX', 'posY')
  assert first.space.sizes == (3, 6, 40, 32, 32) and first.images.image_shape == (64, 64, 1)
  images = first.images.read(INDEX)
  assert images.dtype == np.uint8
  expected = np.zeros_like(images)
  sprites = render.render_sprites()
  for image, (shape, scale, angle, x, y) in zip(expected, first.space.to_factors(INDEX)):
    image[y:y + 33, x:x + 33, 0] = 255 * sprites[shape, scale, angle]
  chex.assert_trees_all_equal(images, expected)
  before = files(folder(dataset_config))
  again = datasets.load_dataset(dataset_config)
  chex.assert_trees_all_equal(again.images.read(INDEX), images)
  assert files(folder(dataset_config)) == before


@pytest.mark.parametrize('field, value, message', [
    ('name', 'dsprits', r"dataset.name 'dsprits'; known: .*dsprites"),
    ('source', 'rendred', r"dataset.source 'rendred' of dsprites; known: rendered, tfds"),
])
def test_unknown_choices_name_the_known_ones(dataset_config, field, value, message):
  dataset_config[field] = value
  with pytest.raises(UserError, match=message):
    datasets.load_dataset(dataset_config)


def test_data_directory(monkeypatch):
  monkeypatch.setenv('HOME', '/home/someone')
  monkeypatch.delenv('CVQ_DATA_DIR', raising=False)
  assert datasets.data_directory('') == pathlib.Path('/home/someone/.cache/cvq')
  assert datasets.data_directory('~/x') == pathlib.Path('/home/someone/x')
  monkeypatch.setenv('CVQ_DATA_DIR', '/data')
  assert datasets.data_directory('') == pathlib.Path('/data')
  assert datasets.data_directory('relative').is_absolute()


@pytest.mark.parametrize('damage', [
    lambda c: os.truncate(shard(c), 100_000),
    lambda c: os.truncate(shard(c), 0),
    lambda c: shard(c).unlink(),
    lambda c: shard(c).write_bytes(shard(c).read_bytes()[:70_000] + bytes(192_144)),
    lambda c: (folder(c) / 'dataset_info.json').write_text('{"name": '),
    lambda c: (folder(c) / 'dataset_info.json').unlink(),
], ids=['truncated', 'empty', 'shard missing', 'zeroed', 'broken json', 'json missing'])
def test_damaged_data_is_named_and_left_alone(prepared, damage):
  damage(prepared)
  before = files(pathlib.Path(prepared.data_dir))
  with pytest.raises(UserError, match='repeat the command') as error:
    datasets.load_dataset(prepared)
  assert str(folder(prepared)) in str(error.value)
  assert len(str(error.value).splitlines()) <= 3
  assert files(pathlib.Path(prepared.data_dir)) == before


@pytest.mark.parametrize('path', ['file', 'file/below'])
def test_data_dir_that_cannot_be_made(dataset_config, path):
  (pathlib.Path(dataset_config.data_dir) / 'file').touch()
  dataset_config.data_dir += f'/{path}'
  with pytest.raises(UserError, match=f'{path}.* cannot be written.*\n.*dataset.data_dir=FOLDER'):
    datasets.load_dataset(dataset_config)


_CHILD = """
import os, pathlib, resource, signal, sys
from cvq.data.builders import dsprites
from cvq.errors import UserError
{prelude}
try:
  dsprites.open_rendered(pathlib.Path(sys.argv[1]))
except UserError as error:
  print('UserError', error)
sys.exit('tensorflow' in sys.modules)
"""
_DIES = """
generate = dsprites.DspritesRendered._generate_examples
def dies(self):
  for number, example in generate(self):
    if number == 300:
      os.kill(os.getpid(), signal.SIGKILL)
    yield number, example
dsprites.DspritesRendered._generate_examples = dies
"""


def run_child(config, prelude='') -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, '-c', _CHILD.format(prelude=prelude), config.data_dir], check=False,
      capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[2])


def test_killed_preparation_is_repeated(dataset_config):
  assert run_child(dataset_config, _DIES).returncode == -signal.SIGKILL
  begun = list(folder(dataset_config).parent.glob('incomplete.*'))
  assert len(begun) == 1                               # it is not taken for prepared data,
  assert not folder(dataset_config).exists()
  images = datasets.load_dataset(dataset_config).images
  assert images.read(INDEX).any((1, 2, 3)).all()
  assert not begun[0].exists()                         # and the next one deletes it


def test_what_another_process_prepares_is_left_alone(dataset_config):
  place = folder(dataset_config).parent
  place.mkdir(parents=True)
  other_version = place / 'incomplete.A_0.0.1'
  begun = place / f'incomplete.A_{folder(dataset_config).name}'
  other_version.mkdir()
  begun.mkdir()
  lock = os.open(place, os.O_RDONLY)
  fcntl.flock(lock, fcntl.LOCK_SH)                     # as a process does that is at work
  datasets.load_dataset(dataset_config)
  os.close(lock)
  assert begun.exists() and other_version.exists()
  shutil.rmtree(folder(dataset_config))
  datasets.load_dataset(dataset_config)
  assert not begun.exists() and other_version.exists()


def test_preparing_and_reading_need_no_tensorflow(dataset_config):
  assert run_child(dataset_config).returncode == 0
  assert run_child(dataset_config).returncode == 0


def test_full_disk(dataset_config):
  """A limit on the size of files stands in for a full disk."""
  child = run_child(dataset_config, 'resource.setrlimit(resource.RLIMIT_FSIZE, (50_000,) * 2)')
  assert 'UserError' in child.stdout and 'cannot be written' in child.stdout
  assert not folder(dataset_config).exists()


def test_the_faster_of_two_preparations_is_used(dataset_config, monkeypatch):
  """The other one finds the folder there when it wants to rename its own."""
  generate = dsprites.DspritesRendered._generate_examples

  def overtaken(self):
    monkeypatch.setattr(dsprites.DspritesRendered, '_generate_examples', generate)
    dsprites.open_rendered(pathlib.Path(dataset_config.data_dir))
    yield from generate(self)
  monkeypatch.setattr(dsprites.DspritesRendered, '_generate_examples', overtaken)
  assert datasets.load_dataset(dataset_config).images.read(INDEX[:3]).any()


def test_adding_a_dataset_takes_one_module(dataset_config, dataset, tmp_path, monkeypatch):
  (tmp_path / 'toy_grid.py').write_text('SOURCES = {"made": lambda data_dir, options: None}\n')
  monkeypatch.setattr(builders, '__path__', [*builders.__path__, str(tmp_path)])
  assert {'dsprites', 'toy_grid'} <= set(datasets.names())
  toy_grid = importlib.import_module('cvq.data.builders.toy_grid')
  toy_grid.SOURCES['made'] = lambda data_dir, options: dataset.images
  dataset_config.update(name='toy_grid', source='made')
  loaded = datasets.load_dataset(dataset_config)
  assert loaded.name == 'toy_grid' and loaded.space is dataset.space
  monkeypatch.delitem(sys.modules, 'cvq.data.builders.toy_grid')
