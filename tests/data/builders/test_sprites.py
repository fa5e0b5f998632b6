"""Tests of cvq.data.builders.sprites, with sheets made here."""

from concurrent import futures
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import chex
from ml_collections import ConfigDict
import numpy as np
from PIL import Image
import pytest

from configs import sprites as experiment
from cvq import config as configuration
from cvq.data import datasets
from cvq.data.builders import sprites
from cvq.data.render import sprites as render
from cvq.errors import UserError

SIZES = {'bottomwear': 7, 'topwear': 7, 'hair': 10, 'eyes': 5, 'shoes': 3, 'body': 7}
NAMES = (*SIZES, 'action', 'rotation', 'frame')
INDEX = np.random.default_rng(0).integers(0, 4_630_500, 400)
ROOT = pathlib.Path(__file__).parents[3]


def coded_sheet(layer: int, value: int) -> np.ndarray:
  """A sheet whose cells say what they are, in ten rows of the layer's own: [1344, 832, 4]."""
  sheet = np.zeros((21, 64, 13, 64, 4), np.uint8)
  mark = sheet[:, 10 * layer:10 * layer + 10]
  mark[..., 0] = 20 * layer + value + 1
  mark[..., 1] = np.arange(1, 22)[:, None, None, None]
  mark[..., 2] = np.arange(1, 14)[:, None]
  mark[..., 3] = 255
  return sheet.reshape(1344, 832, 4)


def write(path: pathlib.Path, sheet: np.ndarray) -> None:
  Image.fromarray(sheet).save(path, compress_level=1)


@pytest.fixture(name='template', scope='module')
def fixture_template(tmp_path_factory):
  """(Folder of sheets 1.png, 2.png, ... and of things to be passed over, data prepared of it)."""
  root, data = tmp_path_factory.mktemp('sheets'), tmp_path_factory.mktemp('data')
  for layer, (name, size) in enumerate(SIZES.items()):
    (root / name).mkdir()
    for value in range(size):
      write(root / name / f'{value + 1}.png', coded_sheet(layer, value))
  write(root / 'eyes' / '6.png', coded_sheet(3, 19))   # one more than the factor has
  (root / 'eyes' / '0.txt').touch()
  (root / 'eyes' / '._1.png').touch()
  datasets.load_dataset(options(root, data))
  return root, data


def options(sheets, data_dir) -> ConfigDict:
  config = experiment.get_config().dataset
  config.sheets, config.data_dir = str(sheets), str(data_dir)
  return config


@pytest.fixture(name='config')
def fixture_config(template, tmp_path):
  """Own sheets, nothing prepared."""
  shutil.copytree(template[0], tmp_path / 'sheets')
  return options(tmp_path / 'sheets', tmp_path / 'data')


@pytest.fixture(name='prepared')
def fixture_prepared(config, template):
  shutil.copytree(template[1], config.data_dir)
  return config


def sheets_of(config) -> pathlib.Path:
  return pathlib.Path(config.sheets)


def folders(config) -> list[pathlib.Path]:
  return sorted(pathlib.Path(config.data_dir).glob('sprites/*/1.0.0'))


def read(config, index=INDEX) -> np.ndarray:
  return datasets.load_dataset(config).images.read(index)


def test_factors(prepared):
  space = datasets.load_dataset(prepared).space
  assert space.names == NAMES and space.sizes == (7, 7, 10, 5, 3, 7, 5, 3, 6)
  assert space.num_images == 4_630_500 and space.num_actions == 18
  assert space.value_names(6) == ('spellcast', 'thrust', 'walk', 'slash', 'shoot')
  assert space.value_names(7) == ('left', 'front', 'right')
  kinds = [factor.kind for factor in space.factors]
  assert kinds == ['unordered'] * 7 + ['ordered'] * 2


def test_every_image_shows_its_factor_values(prepared):
  """All values of all factors, in the order of the numbers in the sheets' names."""
  dataset = datasets.load_dataset(prepared)
  images = dataset.images.read(INDEX)
  assert dataset.images.image_shape == (64, 64, 3) and images.dtype == np.uint8
  factors = dataset.space.to_factors(INDEX)
  assert [len(set(column)) for column in factors.T] == list(dataset.space.sizes)
  *layers, action, rotation, frame = factors.T
  expected = np.zeros((len(INDEX), 64, 64, 3), np.uint8)
  for layer, value in enumerate(layers):
    colour = np.stack([20 * layer + value + 1, 4 * action + rotation + 2, frame + 1], -1)
    expected[:, 10 * layer:10 * layer + 10] = colour[:, None, None]
  chex.assert_trees_all_equal(images, expected)


def test_prepared_once_and_the_same_again(config, template):
  images = read(config)
  folder, = folders(config)
  before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
  chex.assert_trees_all_equal(read(config), images)
  config.sheets = ''                                   # the only set prepared
  chex.assert_trees_all_equal(read(config), images)
  assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
  chex.assert_trees_all_equal(read(options(*template)), images)
  assert folder.parent.name == folders(options(*template))[0].parent.name


def test_threads_read_the_same(prepared):
  images = datasets.load_dataset(prepared).images
  with futures.ThreadPoolExecutor(4) as pool:
    for found in pool.map(lambda _: images.read(INDEX), range(8)):
      chex.assert_trees_all_equal(found, images.read(INDEX))


def test_a_palette_with_transparency_is_as_good(config):
  """Most published sheets are such files."""
  images = read(config)
  sheet = coded_sheet(2, 2)
  sheet[:, 6 * 64:] = 0                                # 13 frames have too many colours
  colours, numbers = np.unique(sheet.reshape(-1, 4), axis=0, return_inverse=True)
  file = Image.fromarray(numbers.reshape(sheet.shape[:2]).astype(np.uint8)).convert('P')
  file.putpalette(colours[:, :3].tobytes())
  file.save(sheets_of(config) / 'hair' / '3.png', transparency=colours[:, 3].tobytes())
  assert Image.open(sheets_of(config) / 'hair' / '3.png').mode == 'P'
  chex.assert_trees_all_equal(read(config), images)
  assert len(folders(config)) == 2


def test_other_sheets_are_prepared_apart(prepared):
  first = read(prepared)
  path = sheets_of(prepared) / 'shoes' / '2.png'
  original = path.read_bytes()
  write(path, coded_sheet(4, 15))
  second = read(prepared)
  shoes = sprites.SPACE.to_factors(INDEX)[:, 4]
  changed = (first != second).any((1, 2, 3))
  chex.assert_trees_all_equal(changed, shoes == 1)
  assert (second[shoes == 1, 45, 32, 0] == 96).all()
  assert len(folders(prepared)) == 2
  path.write_bytes(original)
  chex.assert_trees_all_equal(read(prepared), first)
  prepared.sheets = ''
  with pytest.raises(UserError, match='dataset.sheets is empty.*several') as error:
    read(prepared)
  assert all(str(folder.parent) in str(error.value) for folder in folders(prepared))


def test_exchanged_sheets_are_another_set(prepared):
  """The hash knows which sheet is which."""
  hair = sheets_of(prepared) / 'hair'
  (hair / '1.png').rename(hair / '1.tmp')
  (hair / '10.png').rename(hair / '1.png')
  (hair / '1.tmp').rename(hair / '10.png')
  value = sprites.SPACE.to_factors(INDEX)[:, 2]
  found = read(prepared)[:, 25, 32, 0].astype(int) - 41
  chex.assert_trees_all_equal(found, np.where(value == 0, 9, np.where(value == 9, 0, value)))


def test_without_sheets(config):
  config.sheets = ''
  with pytest.raises(UserError) as error:
    read(config)
  message = str(error.value)
  for part in ('dataset.sheets is empty', config.data_dir, 'github.com/YingzhenLi/Sprites',
               'Universal-LPC-spritesheet', 'CC-BY-SA 3.0 / GPL 3.0', '832x1344', 'hair (10)',
               'python -m cvq.main --config=configs/sprites.py --config.dataset.sheets=FOLDER'):
    assert part in message
  assert len(message.splitlines()) <= 3
  assert not pathlib.Path(config.data_dir).exists()


def truncate(path: pathlib.Path) -> None:
  os.truncate(path, path.stat().st_size // 2)


def as_folder(path: pathlib.Path) -> None:
  path.unlink()
  path.mkdir()


@pytest.mark.parametrize('path, damage, message', [
    ('', shutil.rmtree, 'body cannot be read .*No such file'),
    ('topwear', shutil.rmtree, 'topwear cannot be read .*No such file'),
    ('hair/4.png', pathlib.Path.unlink, 'hair holds 9 PNG sheets; factor hair needs 10'),
    ('body/7.png', lambda path: write(path, np.zeros((1344, 768, 4), np.uint8)),
     r'body/7.png is 768x1344 pixels, not 832x1344'),
    ('eyes/2.png', lambda path: Image.open(path).convert('RGB').save(path),
     r'eyes/2.png has no transparency \(mode RGB, not RGBA\)'),
    ('eyes/2.png', lambda path: Image.open(path).convert('RGB').quantize().save(path),
     r'eyes/2.png has no transparency \(mode P, not RGBA\)'),
    ('shoes/3.png', truncate, 'shoes/3.png is damaged'),
    ('shoes/1.png', lambda path: os.truncate(path, 0), 'shoes/1.png is damaged'),
    ('shoes/1.png', lambda path: path.write_text('<html>'), 'shoes/1.png is damaged'),
    ('hair/10.png', as_folder, 'hair/10.png cannot be read: Is a directory'),
], ids=['no folder', 'no layer', 'too few', 'size', 'RGB', 'palette', 'truncated', 'empty',
        'no picture', 'directory'])
def test_bad_sheets_are_named_and_nothing_is_written(config, path, damage, message):
  damage(sheets_of(config) / path)
  with pytest.raises(UserError, match=message) as error:
    read(config)
  assert str(error.value).startswith(f'dataset.sheets: {config.sheets}')
  assert '--config.dataset.sheets=FOLDER' in str(error.value)
  assert len(str(error.value).splitlines()) <= 3
  assert not pathlib.Path(config.data_dir).exists()


@pytest.mark.parametrize('damage', [
    lambda shard: os.truncate(shard, 70_000), lambda shard: os.truncate(shard, 0),
    pathlib.Path.unlink], ids=['truncated', 'empty', 'missing'])
def test_damaged_data_is_named(prepared, damage):
  damage(next(folders(prepared)[0].glob('*.array_record*')))
  with pytest.raises(UserError, match='is damaged.*\n.*\n.*repeat the command') as error:
    read(prepared)
  assert str(folders(prepared)[0]) in str(error.value)


def test_a_missing_record_is_damage(config, monkeypatch):
  generate = sprites.Sprites._generate_examples        # pylint: disable=protected-access
  monkeypatch.setattr(sprites.Sprites, '_generate_examples',
                      lambda self: list(generate(self))[1:])
  with pytest.raises(UserError, match='38 records are not the 39 sheets'):
    read(config)


def test_data_dir_that_cannot_be_made(config, tmp_path):
  (tmp_path / 'file').touch()
  config.data_dir = str(tmp_path / 'file')
  with pytest.raises(UserError, match='cannot be written.*\n.*dataset.data_dir=FOLDER'):
    read(config)


_CHILD = """
import os, signal, sys
from cvq.data import datasets
from cvq.data.builders import sprites
from tests.data.builders import test_sprites
{prelude}
test_sprites.read(test_sprites.options(*sys.argv[1:]))
sys.exit('tensorflow' in sys.modules)
"""
_DIES = """
generate = sprites.Sprites._generate_examples
def dies(self):
  for number, example in enumerate(generate(self)):
    if number == 20:
      os.kill(os.getpid(), signal.SIGKILL)
    yield example
sprites.Sprites._generate_examples = dies
"""


def run_child(config, prelude='') -> int:
  return subprocess.run(
      [sys.executable, '-c', _CHILD.format(prelude=prelude), config.sheets, config.data_dir],
      check=False, capture_output=True, cwd=ROOT).returncode


def test_killed_preparation_is_repeated(config):
  assert run_child(config, _DIES) == -signal.SIGKILL
  data_dir, sheets = pathlib.Path(config.data_dir), config.sheets
  assert any((data_dir / 'sprites').iterdir())         # something was begun,
  config.sheets = ''
  with pytest.raises(UserError, match='no Sprites are prepared'):    # and is not taken for data
    read(config)
  config.sheets = sheets
  assert read(config).any((1, 2, 3)).all()
  assert len(folders(config)) == 1


def test_preparing_and_reading_need_no_tensorflow(config):
  assert run_child(config) == 0
  assert run_child(config) == 0


def test_prepared_data_of_this_version_hold_these_cells():
  """Other cells need another VERSION of the builder, or old data goes on being used."""
  digest = hashlib.sha256(render.cut(coded_sheet(2, 2)).tobytes()).hexdigest()[:16]
  assert (str(sprites.Sprites.VERSION), digest) == ('1.0.0', '7f1fcf1ddf8a1916')


@pytest.mark.parametrize('preset', ['', 'smoke', 'paper', 'paper,batch=8'])
def test_presets(preset):
  config = experiment.get_config(preset)
  configuration.validate(config)
  assert config.dataset.sheets == '' and config.model.decoder.bias == 0


def test_paper_schedule_is_that_of_this_space():
  config = experiment.get_config('paper')
  images = .7 * sprites.SPACE.num_images
  pairs = .7 * 1000 * sum(size - 1 for size in sprites.SPACE.sizes) * 2
  np.testing.assert_allclose(config.train.mode_weights, (images, pairs, pairs))
  assert config.pretrain.steps == 20 * int(images / 64)
  assert config.train.steps == 100 * int((images + 2 * pairs) / 16)
