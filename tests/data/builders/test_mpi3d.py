"""MPI3D, from npz files of the published form."""

import pathlib
import zipfile

import numpy as np
import pytest

from cvq.data.builders import mpi3d
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError
from tests.data.builders import archives

PUBLISHED = mpi3d.SPACE
SPACE = FactorSpace((Factor('object_color', 2), Factor('object_shape', 2), Factor('object_size', 2),
                     Factor('camera_height', 1), Factor('background_color', 3),
                     Factor('horizontal_axis', 3), Factor('vertical_axis', 2)))
INDEX = np.arange(SPACE.num_images)
open_toy = mpi3d.SOURCES['toy']

pytestmark = pytest.mark.usefixtures('offline')


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  monkeypatch.setattr(mpi3d, 'SPACE', SPACE)
  monkeypatch.setattr(mpi3d, '_BLOCK', 10)             # the last block is smaller


def pixels(seed: int = 0) -> np.ndarray:
  """Noise whose first pixels are the factors: [n, 64, 64, 3]."""
  images = np.random.default_rng(seed).integers(0, 256, (len(INDEX), 64, 64, 3), np.uint8)
  images[:, 0, :7, 0] = SPACE.to_factors(INDEX)
  return images


def write(data_dir: pathlib.Path, source: str = 'toy', save=np.savez, **arrays) -> pathlib.Path:
  path = data_dir / f'mpi3d_{source}.npz'
  save(path, **(arrays or {'images': pixels()}))
  return path


def damage(path: pathlib.Path, match: str):
  archives.assert_damage_is_named(open_toy, path.parent, path, match, [path.name])
  write(path.parent)
  np.testing.assert_array_equal(open_toy(path.parent).read(INDEX), pixels())


def test_the_published_grid():
  assert PUBLISHED.sizes == (6, 6, 2, 3, 3, 40, 40) and PUBLISHED.num_images == 1_036_800
  assert PUBLISHED.to_index([1, 2, 1, 2, 1, 30, 3]) == (
      172_800 + 2 * 28_800 + 14_400 + 2 * 4_800 + 1_600 + 30 * 40 + 3)
  assert PUBLISHED.value_names(0)[1] == 'green' and PUBLISHED.value_names(4)[2] == 'salmon'


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_images_are_found_by_factor_index(tmp_path, save):
  write(tmp_path, save=save)
  images = open_toy(tmp_path)
  assert images.image_shape == (64, 64, 3)
  np.testing.assert_array_equal(images.read(INDEX), pixels())
  np.testing.assert_array_equal(images.read(INDEX)[:, 0, :7, 0], SPACE.to_factors(INDEX))


def test_sources_lie_side_by_side(tmp_path):
  for seed, source in enumerate(mpi3d.SOURCES):
    write(tmp_path, source, images=pixels(seed))
    mpi3d.SOURCES[source](tmp_path)
  for seed, source in enumerate(mpi3d.SOURCES):
    (tmp_path / f'mpi3d_{source}.npz').unlink()
    np.testing.assert_array_equal(mpi3d.SOURCES[source](tmp_path).read(INDEX), pixels(seed))


def test_header_of_the_second_version(tmp_path):
  path = tmp_path / 'mpi3d_toy.npz'
  with zipfile.ZipFile(path, 'w') as file, file.open('images.npy', 'w') as stream:
    np.lib.format.write_array(stream, pixels(), version=(2, 0))
  np.testing.assert_array_equal(open_toy(tmp_path).read(INDEX), pixels())


def test_no_network(tmp_path):
  with pytest.raises(UserError, match='MPI3D real is not in .* cannot be reached') as error:
    mpi3d.SOURCES['real'](tmp_path)
  archives.assert_helps(error, str(tmp_path), 'mpi3d_real.npz', *archives.COMMON)


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('lost', [1, 10_000, -10])
def test_truncated_file(tmp_path, save, lost):
  path = write(tmp_path, save=save)
  path.write_bytes(path.read_bytes()[:-lost])
  damage(path, 'not a zip file')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_wrong_byte(tmp_path, save):
  """The checksum of the zip archive notices it at the end of the array."""
  path = write(tmp_path, save=save)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 255
  path.write_bytes(content)
  damage(path, 'CRC-32|decompressing')


@pytest.mark.parametrize('arrays, match', [
    ({'imgs': pixels()}, 'images.npy'),
    ({'images': pixels()[:-1]}, 'shape'), ({'images': pixels()[..., :1]}, 'shape'),
    ({'images': pixels() / np.float32(255)}, 'float32'),
    ({'images': np.asfortranarray(pixels())}, 'True'),
    ({'images': pixels().reshape(*SPACE.sizes, 64, 64, 3)}, 'shape'),
    ({'images': np.asarray([{'a': 1}], object)}, "'O'")])
def test_wrong_arrays(tmp_path, arrays, match):
  damage(write(tmp_path, **arrays), match)


@pytest.mark.parametrize('change', [-1, 1])
def test_array_of_another_length_than_its_header_says(tmp_path, change):
  path = write(tmp_path)
  with zipfile.ZipFile(path) as file:
    content = file.read('images.npy')
  content = content[:-1] if change < 0 else content + b'.'
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr('images.npy', content)
  damage(path, 'reshape' if change < 0 else 'more images than')


def test_full_disk(tmp_path):
  path = write(tmp_path)
  archives.assert_full_disk_is_survived(open_toy, tmp_path, [path.name])
