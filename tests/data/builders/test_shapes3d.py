"""Rendered Shapes3D; the published one of TFDS, against a set of its schema written on the spot."""

import pathlib
import shutil

import chex
import h5py
import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from cvq.data import datasets, prepare, published
from cvq.data.builders import shapes3d
from cvq.data.factors import Factor, FactorSpace
from cvq.data.render import shapes3d as render
from cvq.errors import UserError

SIZES = (3, 2, 2, 3, 4, 2)
SMALL = FactorSpace(tuple(map(Factor, shapes3d.SPACE.names, SIZES)))
INDEX = np.arange(SMALL.num_images)


@pytest.fixture(name='config')
def fixture_config(dataset_config):
  dataset_config.name = 'shapes3d'
  return dataset_config


@pytest.fixture(name='geometries', scope='module')
def fixture_geometries():
  return render.render_geometries()


@pytest.fixture(name='rendered', scope='module')
def fixture_rendered(tmp_path_factory):
  """A prepared data directory and its images."""
  folder = tmp_path_factory.mktemp('rendered')
  return folder, shapes3d.open_rendered(folder)


def files(directory: pathlib.Path) -> dict:
  return {path: path.stat().st_mtime_ns for path in directory.rglob('*') if path.is_file()}


def test_space(rendered):
  space = rendered[1].space
  assert space.names == ('floor_hue', 'wall_hue', 'object_hue', 'scale', 'shape', 'orientation')
  assert space.sizes == (10, 10, 10, 8, 4, 15) and space.num_images == 480_000
  assert space.value_names(4) == ('cube', 'cylinder', 'sphere', 'capsule')
  assert rendered[1].image_shape == (64, 64, 3)


def test_images_are_coloured_geometries_in_the_published_order(rendered, geometries):
  """Index: floor hue slowest, orientation fastest."""
  images = rendered[1]
  shares, constant = geometries
  factors = np.random.default_rng(0).integers(0, images.space.sizes, (60, 6))
  index = [((((floor * 10 + wall) * 10 + thing) * 8 + scale) * 4 + shape) * 15 + turn
           for floor, wall, thing, scale, shape, turn in factors.tolist()]
  found = images.read(np.asarray(index))
  assert found.dtype == np.uint8
  for image, (*hues, scale, shape, turn) in zip(found, factors):
    colours = render.palette()[hues] / 255.
    expected = shares[scale, shape, turn] @ colours + constant[scale, shape, turn]
    np.testing.assert_allclose(image, expected, atol=1.51)            # three roundings


def test_a_hue_changes_its_layer_only(rendered, geometries):
  images = rendered[1]
  shares = geometries[0]
  for layer in range(3):
    factors = np.tile([2, 5, 8, 4, 1, 3], (10, 1))
    factors[:, layer] = np.arange(10)
    found = images.read(images.space.to_index(factors))
    changed = (found != found[0]).any((0, -1))
    present = shares[4, 1, 3, ..., layer] > 0
    assert not changed[~present].any() and changed[present].mean() > .95


def test_unshaded_colours(rendered):
  """Sky whatever the hues; a red floor has no green and no blue in it, a cyan one no red."""
  images = rendered[1]
  factors = np.asarray([[0, 5, 5, 0, 0, 7], [5, 0, 0, 0, 0, 7]])
  red, cyan = images.read(images.space.to_index(factors)).astype(int)
  for image in (red, cyan):
    np.testing.assert_allclose(image[0], np.tile(render.SKY * 255, (64, 1)), atol=1)
  assert red[60, :, 0].min() > 150 and not red[60, :, 1:].any()
  assert cyan[60, :, 1:].min() > 150 and not cyan[60, :, 0].any()


def test_every_step_is_visible(rendered):
  """No transition of a sample is pixel-identical, with equal hues either."""
  images = rendered[1]
  space = images.space
  rng = np.random.default_rng(1)
  factors = rng.integers(0, space.sizes, (400, 6))
  factors[::2, 1:3] = factors[::2, :1]
  source = np.repeat(space.to_index(factors), space.num_actions)
  target, valid = space.step(source, np.tile(np.arange(space.num_actions), 400))
  source, target = source[valid], target[valid]
  changed = (images.read(source) != images.read(target)).any(-1).sum((1, 2))
  assert changed.min() >= 8


def test_prepared_once(rendered, config):
  folder, images = rendered
  before = files(folder)
  config.data_dir = str(folder)
  again = datasets.load_dataset(config)
  index = np.arange(0, 480_000, 9_999)
  chex.assert_trees_all_equal(again.images.read(index), images.read(index))
  assert again.name == 'shapes3d' and files(folder) == before
  assert sum(path.stat().st_size for path in before) < 2**22


def test_damaged_rendered_data_are_named(rendered, config):
  shutil.copytree(rendered[0], config.data_dir, dirs_exist_ok=True)
  folder = prepare.folder_of(shapes3d.Shapes3dRendered, pathlib.Path(config.data_dir))
  shard = next(folder.glob('*.array_record*'))
  shard.write_bytes(bytes(shard.stat().st_size))
  with pytest.raises(UserError, match='damaged') as error:
    datasets.load_dataset(config)
  assert str(folder) in str(error.value)


def test_missing_geometries_are_noticed(config, geometries, monkeypatch):
  monkeypatch.setattr(render, 'render_geometries', lambda: [part[1:] for part in geometries])
  with pytest.raises(UserError, match='420 records are not the 480 geometries'):
    datasets.load_dataset(config)


FILE, = shapes3d.Shapes3dPublished.files


def write_hdf5(path: pathlib.Path, index=INDEX) -> np.ndarray:
  """A file like the published one; returns its images."""
  images = np.random.default_rng(0).integers(0, 256, (len(index), 64, 64, 3), np.uint8)
  values = SMALL.to_factors(index) * [.1, .1, .1, .5 / 7, 1, 60 / 14] + [0, 0, 0, .75, 0, -30]
  with h5py.File(path, 'w') as file:
    file['images'], file['labels'] = images, values
  return images


@pytest.fixture(name='small')
def fixture_small(config, monkeypatch):
  """The published source on a smaller grid, and no network whatever the machine has."""
  def offline(*_, **__):
    raise requests.ConnectionError('no network in this test')
  monkeypatch.setattr(shapes3d, 'SPACE', SMALL)
  monkeypatch.setattr(shapes3d, '_BLOCK', 100)         # several, the last one not full
  monkeypatch.setattr(requests, 'head', offline)
  config.source = 'tfds'
  return config


def file_of(config) -> pathlib.Path:
  return pathlib.Path(config.data_dir) / FILE.name


def folder_of(config) -> pathlib.Path:
  return prepare.folder_of(shapes3d.Shapes3dPublished, pathlib.Path(config.data_dir))


def test_published_images_and_schema(small):
  expected = write_hdf5(file_of(small))
  images = datasets.load_dataset(small).images
  chex.assert_trees_all_equal(images.read(INDEX), expected)
  builder = tfds.builder_from_directory(folder_of(small))
  assert builder.info.full_name == 'shapes3d/2.0.0'
  original = shapes3d.tfds_shapes3d.Builder(data_dir=small.data_dir)
  assert set(builder.info.features) == set(original.info.features)
  for record in list(builder.as_data_source('train'))[::50]:
    factors = [int(record[label]) for label in shapes3d.LABELS]
    chex.assert_trees_all_equal(record['image'], expected[SMALL.to_index([factors])[0]])
    np.testing.assert_allclose(record['value_orientation'], -30 + 60 / 14 * factors[-1], rtol=1e-6)
    np.testing.assert_allclose(record['value_scale'], .75 + .5 / 7 * factors[3], rtol=1e-6)


def test_published_file_in_another_order(small):
  order = np.random.default_rng(1).permutation(INDEX)
  expected = write_hdf5(file_of(small), order)
  images = datasets.load_dataset(small).images
  chex.assert_trees_all_equal(images.read(order), expected)
  file_of(small).unlink()                              # prepared: not needed any more
  chex.assert_trees_all_equal(datasets.load_dataset(small).images.read(order[:9]), expected[:9])


def test_published_file_that_is_not_the_grid(small):
  write_hdf5(file_of(small), INDEX[:-1])
  with pytest.raises(UserError, match=f'{len(INDEX) - 1} records, not the {len(INDEX)} images'):
    datasets.load_dataset(small)


def test_no_network_says_what_to_do(small):
  with pytest.raises(UserError, match='storage.googleapis.com cannot be reached') as error:
    datasets.load_dataset(small)
  message = str(error.value)
  assert len(message.splitlines()) <= 3
  for word in ('Shapes3D', small.data_dir, '3dshapes.h5', FILE.url,
               '--config.dataset.data_dir', '--config.dataset.source=rendered', 'repeat'):
    assert word in message
  assert not any(pathlib.Path(small.data_dir).iterdir())


def test_h5py_missing(small, monkeypatch):
  monkeypatch.setattr(published.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match='Shapes3D needs h5py: pip install -e'):
    datasets.load_dataset(small)


@pytest.mark.parametrize('content', [b'', b'not hdf5' * 1000])
def test_damaged_published_file_is_named(small, content):
  file_of(small).write_bytes(content)
  with pytest.raises(UserError, match='damaged') as error:
    datasets.load_dataset(small)
  assert str(file_of(small)) in str(error.value)
  assert file_of(small).exists() and not folder_of(small).exists()
