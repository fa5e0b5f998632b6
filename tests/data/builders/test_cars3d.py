"""Cars3D, from an archive of the published form: MATLAB files in a tar.gz."""

import gzip
import io
import pathlib
import tarfile

import numpy as np
import pytest
import scipy.io

from cvq.data.builders import cars3d
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError
from tests.data.builders import archives

PUBLISHED = cars3d.SPACE
SPACE = FactorSpace((Factor('elevation', 2), Factor('azimuth', 3, 'cyclic'),
                     Factor('object_type', 4, 'unordered')))
INDEX = np.arange(SPACE.num_images)
FILE, = cars3d.Cars3d.files
NAMES = [f'car_{number:03}_mesh' for number in (7, 11, 20, 105)]

pytestmark = pytest.mark.usefixtures('offline')


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  monkeypatch.setattr(cars3d, 'SPACE', SPACE)


def car(object_type: int) -> np.ndarray:
  """Pixels of a car, [128, 128, 3, azimuth, elevation] as published.

  The upper half has its factors as colour, the lower left quarter is white, the right one black.
  """
  images = np.zeros((128, 128, 3, 3, 2), np.uint8)
  for azimuth, elevation in np.ndindex(3, 2):
    images[:64, :, :, azimuth, elevation] = elevation, azimuth, object_type
  images[64:, :64] = 255
  return images


def matlab(**arrays: np.ndarray) -> bytes:
  file = io.BytesIO()
  scipy.io.savemat(file, arrays, do_compression=True)
  return file.getvalue()


def write(data_dir: pathlib.Path, cars=None) -> pathlib.Path:
  """An archive with other data sets beside the cars, the cars not in the order of their names."""
  if cars is None:
    mask = np.zeros((128, 128, 3, 2), np.uint8)
    cars = {name: matlab(im=car(number), mask=mask) for number, name in enumerate(NAMES)}
  files = {f'data/cars/{name}.mat': cars[name] for name in reversed(list(cars))}
  files |= {'data/cars/list.txt': '\n'.join(NAMES).encode(), 'data/shapes48.mat': b'no car',
            'data/sprites/sprite_1.mat': b'no car', 'data/cars/._car_007_mesh.mat': b'no car'}
  path = data_dir / FILE.name
  with tarfile.open(path, 'w:gz') as tar:
    for name, content in files.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      tar.addfile(info, io.BytesIO(content))
  return path


def damage(path: pathlib.Path, match: str):
  archives.assert_damage_is_named(cars3d.open_published, path.parent, path, match, [path.name])
  write(path.parent)
  assert cars3d.open_published(path.parent).read(INDEX[:1]).any()


def test_the_published_grid():
  assert PUBLISHED.sizes == (4, 24, 183) and PUBLISHED.num_images == 17_568


def test_images_are_found_by_factor_index(tmp_path):
  write(tmp_path)
  images = cars3d.open_published(tmp_path)
  assert images.image_shape == (64, 64, 3)
  read = images.read(INDEX)
  np.testing.assert_array_equal(read[:, 8, 8], SPACE.to_factors(INDEX))
  np.testing.assert_array_equal(read[:, 8, 56], SPACE.to_factors(INDEX))
  assert (read[:, 56, 8] == 255).all() and not read[:, 56, 56].any()
  assert images.space.sizes == SPACE.sizes


def test_the_archive_is_not_needed_again(tmp_path):
  write(tmp_path).rename(tmp_path / 'elsewhere')       # before: nothing is prepared
  with pytest.raises(UserError, match='scottreed.info cannot be reached') as error:
    cars3d.open_published(tmp_path)
  archives.assert_helps(error, str(tmp_path), FILE.url, FILE.name, *archives.COMMON)
  (tmp_path / 'elsewhere').rename(tmp_path / FILE.name)
  first = cars3d.open_published(tmp_path).read(INDEX)
  (tmp_path / FILE.name).unlink()
  np.testing.assert_array_equal(cars3d.open_published(tmp_path).read(INDEX), first)


def test_truncated_archive(tmp_path):
  path = write(tmp_path)
  path.write_bytes(path.read_bytes()[:-1000])
  damage(path, 'ended before|unexpected end')


def test_archive_with_a_wrong_byte(tmp_path):
  path = write(tmp_path)
  content = bytearray(path.read_bytes())
  content[-6] ^= 1                                     # gzip ends with checksum and length
  path.write_bytes(content)
  damage(path, 'CRC|Incorrect length')


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', gzip.compress(b'no tar')],
                         ids=['empty', 'page', 'gzip'])
def test_no_archive(tmp_path, content):
  path = tmp_path / FILE.name
  path.write_bytes(content)
  damage(path, '')


@pytest.mark.parametrize('change, match', [
    ({NAMES[2]: matlab(img=car(2))}, 'im'),
    ({NAMES[2]: matlab(im=car(2).swapaxes(3, 4))}, r'car_020_mesh.mat: uint8 \(128, .* 2, 3\)'),
    ({NAMES[2]: matlab(im=car(2)[:64, :64])}, r'car_020_mesh.mat: uint8 \(64, 64, 3, 3, 2\)'),
    ({NAMES[2]: matlab(im=car(2) / 255.)}, 'car_020_mesh.mat: float64'),
    ({NAMES[2]: b'no matlab'}, ''),
    ({'car_200_mesh': matlab(im=car(3))}, '5 files data/cars/.* not 4')])
def test_wrong_cars(tmp_path, change, match):
  cars = {name: matlab(im=car(number)) for number, name in enumerate(NAMES)}
  damage(write(tmp_path, cars | change), match)


def test_full_disk(tmp_path):
  write(tmp_path)
  archives.assert_full_disk_is_survived(cars3d.open_published, tmp_path, [FILE.name])
