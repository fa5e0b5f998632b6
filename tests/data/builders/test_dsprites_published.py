"""The published dSprites of TFDS, against a set of the same schema written on the spot."""

import pathlib
import shutil
import threading

import chex
import h5py
import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from cvq.data import datasets, prepare, published, records
from cvq.data.builders import dsprites
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError

SPACE = FactorSpace((Factor('shape', 3), Factor('scale', 2), Factor('orientation', 4),
                     Factor('posX', 3), Factor('posY', 3)))
INDEX = np.arange(SPACE.num_images)
FILE = dsprites.DspritesPublished.files[0].name


def write_hdf5(path: pathlib.Path, index=INDEX) -> np.ndarray:
  """A file like the published one; returns its images as 0 / 255: [n, 64, 64, 1]."""
  images = np.random.default_rng(0).integers(0, 2, (len(index), 64, 64), np.uint8)
  classes = np.concatenate([np.zeros((len(index), 1), int), SPACE.to_factors(index)], axis=1)
  with h5py.File(path, 'w') as file:
    file['imgs'] = images
    latents = file.create_group('latents')
    latents['classes'], latents['values'] = classes, classes / 2.
  return images[..., None] * np.uint8(255)


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  """A smaller grid than the published one, and no network whatever the machine has."""
  def offline(*_, **__):
    raise requests.ConnectionError('no network in this test')
  monkeypatch.setattr(dsprites, 'SPACE', SPACE)
  monkeypatch.setattr(requests, 'head', offline)


@pytest.fixture(name='config')
def fixture_config(dataset_config):
  dataset_config.source = 'tfds'
  return dataset_config


@pytest.fixture(name='template', scope='module')
def fixture_template(tmp_path_factory):
  """A prepared data directory, to be copied: (folder, images)."""
  folder = tmp_path_factory.mktemp('published')
  images = write_hdf5(folder / FILE, order := np.random.default_rng(1).permutation(INDEX))
  images = images[np.argsort(order)]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(dsprites, 'SPACE', SPACE)
    dsprites.open_published(folder)
  return folder, images


@pytest.fixture(name='prepared')
def fixture_prepared(config, template):
  shutil.copytree(template[0], config.data_dir, dirs_exist_ok=True)
  return config


def table_of(config) -> pathlib.Path:
  return next((pathlib.Path(config.data_dir) / 'tables').iterdir())


def folder_of(config) -> pathlib.Path:
  return prepare.folder_of(dsprites.DspritesPublished, pathlib.Path(config.data_dir))


def test_schema_is_that_of_tfds(prepared):
  builder = tfds.builder_from_directory(folder_of(prepared))
  assert builder.info.full_name == 'dsprites/2.0.0'
  published = dsprites.tfds_dsprites.Builder(data_dir=prepared.data_dir)
  assert set(builder.info.features) == set(published.info.features)
  record = builder.as_data_source('train')[0]
  for label, value in zip(dsprites.LABELS, dsprites.VALUES):
    assert record[value] == record[label] / 2


def test_images_are_found_by_factor_index(prepared, template):
  """Records may stand in any order; the table undoes that, and 0 / 1 become 0 / 255."""
  images = datasets.load_dataset(prepared).images
  assert images.image_shape == (64, 64, 1)
  table = np.load(table_of(prepared))
  assert (table != INDEX).any()
  chex.assert_trees_all_equal(images.read(INDEX), template[1])
  some = np.asarray([7, 3, 7, 100])
  chex.assert_trees_all_equal(images.read(some), template[1][some])


def test_table_is_built_once(prepared, monkeypatch):
  monkeypatch.setattr(records, '_build_table', None)
  assert datasets.load_dataset(prepared).images.read(INDEX[:2]).any()


def test_table_that_cannot_be_kept_is_built_again(prepared, template, capsys):
  shutil.rmtree(table_of(prepared).parent)
  (pathlib.Path(prepared.data_dir) / 'tables').touch()
  images = datasets.load_dataset(prepared).images
  assert 'cannot be written' in capsys.readouterr().err
  chex.assert_trees_all_equal(images.read(INDEX), template[1])


def assert_helps(error: pytest.ExceptionInfo, *words: str):
  message = str(error.value)
  assert len(message.splitlines()) <= 3
  for word in words:
    assert word in message


def test_no_network_says_what_to_do(config):
  with pytest.raises(UserError, match='github.com cannot be reached') as error:
    datasets.load_dataset(config)
  assert_helps(error, config.data_dir, FILE, 'https://github.com/deepmind',
               '--config.dataset.data_dir', '--config.dataset.source=rendered', 'repeat')
  assert not any(pathlib.Path(config.data_dir).iterdir())


def test_network_that_never_answers_is_not_waited_for(monkeypatch):
  done = threading.Event()

  def hangs(*_, **__):
    done.wait()
    raise requests.ConnectionError
  monkeypatch.setattr(requests, 'head', hangs)
  assert 'no answer in 0.05 s' in prepare.unreachable('https://example.org/x', seconds=.05)
  done.set()


def test_reachable(monkeypatch):
  response = requests.Response()
  monkeypatch.setattr(requests, 'head', lambda *_, **__: response)
  response.status_code = 200
  assert prepare.unreachable('https://example.org/x') is None
  response.status_code = 404
  assert 'HTTPError' in prepare.unreachable('https://example.org/x')


def test_h5py_is_missed_where_the_file_must_be_read(config, template, monkeypatch):
  real = published.importlib.util.find_spec
  monkeypatch.setattr(published.importlib.util, 'find_spec',
                      lambda name, *rest: None if name == 'h5py' else real(name, *rest))
  with pytest.raises(UserError, match=r"dSprites needs h5py: pip install -e '\.\[published\]' -c"):
    datasets.load_dataset(config)
  shutil.copytree(template[0], config.data_dir, dirs_exist_ok=True)
  assert datasets.load_dataset(config).images.read(INDEX[:2]).any()


@pytest.mark.parametrize('content', [b'', b'not hdf5' * 1000])
def test_damaged_hdf5_file_is_named(config, content):
  path = pathlib.Path(config.data_dir) / FILE
  path.write_bytes(content)
  with pytest.raises(UserError, match='damaged') as error:
    datasets.load_dataset(config)
  assert_helps(error, str(path))
  assert path.exists() and not folder_of(config).exists()


@pytest.mark.parametrize('index, message', [
    (INDEX[:-1], f'holds {len(INDEX) - 1} records, not the {len(INDEX)} images'),
    (np.where(INDEX == 5, 6, INDEX), "no record for .*'posX': 1, 'posY': 2"),
])
def test_records_that_are_not_the_grid(config, index, message):
  write_hdf5(pathlib.Path(config.data_dir) / FILE, index)
  with pytest.raises(UserError, match=message) as error:
    datasets.load_dataset(config)
  assert_helps(error, str(folder_of(config)))


def test_label_out_of_range(config, monkeypatch):
  write_hdf5(pathlib.Path(config.data_dir) / FILE)
  monkeypatch.setattr(dsprites, 'SPACE', FactorSpace(
      (*SPACE.factors[:-2], Factor('posX', 9), Factor('posY', 1))))
  with pytest.raises(UserError, match='label 1 is out of range|label 2 is out of range'):
    datasets.load_dataset(config)


def test_grey_pixels(config, monkeypatch):
  png = published.png
  monkeypatch.setattr(published, 'png', lambda image: png(image.point(lambda v: 7 * v)))
  write_hdf5(pathlib.Path(config.data_dir) / FILE)
  with pytest.raises(UserError, match='pixel of value 7, more than 1'):
    datasets.load_dataset(config)


@pytest.mark.parametrize('table', [
    INDEX.astype(np.int32)[::-1], INDEX, np.zeros(len(INDEX), np.int32), np.arange(3)],
                         ids=['of other records', 'type', 'no permutation', 'length'])
def test_wrong_table_is_named(prepared, table):
  path = table_of(prepared)
  np.save(path, table)
  with pytest.raises(UserError, match='damaged') as error:
    datasets.load_dataset(prepared)
  assert_helps(error, str(path))


@pytest.mark.parametrize('content', [b'', b'\x93NUMPY', b'cos\nsystem\n'])
def test_damaged_table_is_named(prepared, content):
  path = table_of(prepared)
  path.write_bytes(content)
  with pytest.raises(UserError, match='damaged') as error:
    datasets.load_dataset(prepared)
  assert_helps(error, str(path))
  assert path.read_bytes() == content


def test_shard_damaged_while_in_use_is_named(prepared):
  images = datasets.load_dataset(prepared).images
  shard = next(folder_of(prepared).glob('*.array_record*'))
  size = shard.stat().st_size
  with open(shard, 'r+b') as file:
    file.write(bytes(size))
  with pytest.raises(UserError, match='damaged') as error:
    for index in INDEX:
      images.read(index[None])
  assert_helps(error, str(folder_of(prepared)))


def test_tfrecord_files_are_explained(config):
  folder = folder_of(config)
  folder.mkdir(parents=True)
  (folder / 'dsprites-train.tfrecord-00000-of-00001').touch()
  with pytest.raises(UserError, match='tfds convert_format') as error:
    datasets.load_dataset(config)
  assert_helps(error, f'--dataset_version_dir={folder} ', '--config.dataset.data_dir')
