"""SmallNORB, from six files of the published form: gzipped binary matrices."""

import gzip
import pathlib

import numpy as np
import pytest

from cvq.data.builders import smallnorb
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError
from tests.data.builders import archives

PUBLISHED = smallnorb.SPACE
SPACE = FactorSpace((Factor('category', 2), Factor('instance', 4), Factor('elevation', 2),
                     Factor('azimuth', 3, 'cyclic'), Factor('lighting', 2)))
INDEX = np.arange(SPACE.num_images)
HALVES = {'5x01235x9x18x6x2x96x96-testing': (0, 2), '5x46789x9x18x6x2x96x96-training': (1, 3)}
NAMES = [f'smallnorb-{half}-{kind}.mat.gz' for half in HALVES for kind in ('cat', 'dat', 'info')]

pytestmark = pytest.mark.usefixtures('offline')


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  monkeypatch.setattr(smallnorb, 'SPACE', SPACE)


def matrix(array: np.ndarray) -> bytes:
  """Magic, rank, at least three sizes, values. The sizes that fill up have no meaning."""
  magic = {'uint8': 0x1e3d4c55, 'int32': 0x1e3d4c54, 'float32': 0x1e3d4c51}[array.dtype.name]
  sizes = [*array.shape, *[1] * (3 - array.ndim)]
  header = np.asarray([magic, array.ndim, *sizes], '<i4').tobytes()
  return header + array.astype(array.dtype.newbyteorder('<')).tobytes()


def half_of(instances: tuple[int, ...]) -> dict[str, np.ndarray]:
  """Arrays of one half, shuffled. The left image shows its index above, 255 and 0 below."""
  index = np.random.default_rng(0).permutation(
      INDEX[np.isin(SPACE.to_factors(INDEX)[:, 1], instances)])
  images = np.zeros((len(index), 2, 96, 96), np.uint8)
  images[:, 0, :48] = index[:, None, None]
  images[:, 0, 48:, :48] = 255
  images[:, 1] = 77                                    # the right camera
  factors = SPACE.to_factors(index)
  factors[:, 3] *= 2
  return {'dat': images, 'cat': factors[:, 0], 'info': factors[:, 1:]}


def write(data_dir: pathlib.Path, half='training', **changes) -> dict[str, pathlib.Path]:
  """Writes all files, those of one half with changes; returns the paths of that half."""
  paths = {}
  for name, instances in HALVES.items():
    arrays = half_of(instances) | (changes if half in name else {})
    for kind, array in arrays.items():
      path = data_dir / f'smallnorb-{name}-{kind}.mat.gz'
      path.write_bytes(gzip.compress(matrix(array), 1))
      if half in name:
        paths[kind] = path
  return paths


def damage(path: pathlib.Path, match: str):
  archives.assert_damage_is_named(smallnorb.open_published, path.parent, path, match, NAMES)
  write(path.parent)
  check_images(path.parent)


def check_images(data_dir: pathlib.Path):
  images = smallnorb.open_published(data_dir)
  assert images.image_shape == (64, 64, 1)
  read = images.read(INDEX)[..., 0]
  np.testing.assert_array_equal(read[:, 10, 10], INDEX)
  np.testing.assert_array_equal(read[:, 10, 54], INDEX)
  assert (read[:, 54, 10] == 255).all() and not read[:, 54, 54].any()


def test_the_published_grid():
  assert PUBLISHED.sizes == (5, 10, 9, 18, 6) and PUBLISHED.num_images == 48_600
  assert PUBLISHED.value_names(2)[-1] == '70°' and PUBLISHED.value_names(3)[-1] == '340°'
  assert [file.name for file in smallnorb.Smallnorb64.files] == NAMES
  assert all(file.digest.startswith('sha256:') for file in smallnorb.Smallnorb64.files)


def test_images_are_found_by_factor_index(tmp_path):
  """Of both halves; azimuths are halved; the right camera is left out."""
  write(tmp_path)
  check_images(tmp_path)
  for name in NAMES:
    (tmp_path / name).unlink()
  check_images(tmp_path)


def test_no_network(tmp_path):
  write(tmp_path)
  (tmp_path / NAMES[1]).unlink()
  with pytest.raises(UserError, match='SmallNORB is not in .* cs.nyu.edu cannot be') as error:
    smallnorb.open_published(tmp_path)
  archives.assert_helps(error, str(tmp_path), f'{NAMES[1]} as {NAMES[1]}', *archives.COMMON)
  assert NAMES[0] not in str(error.value)


@pytest.mark.parametrize('half', ['training', 'testing'])
@pytest.mark.parametrize('kind', ['dat', 'cat', 'info'])
def test_truncated_file(tmp_path, half, kind):
  path = write(tmp_path, half)[kind]
  path.write_bytes(path.read_bytes()[:-9])
  damage(path, 'ended before')


@pytest.mark.parametrize('content', [b'', b'<html>not found</html>', gzip.compress(b'no matrix')],
                         ids=['empty', 'page', 'gzip'])
def test_no_matrix(tmp_path, content):
  path = write(tmp_path)['dat']
  path.write_bytes(content)
  damage(path, 'header is not that of|Not a gzipped')


def test_wrong_byte(tmp_path):
  path = write(tmp_path)['dat']
  content = bytearray(path.read_bytes())
  content[-6] ^= 1                                     # gzip ends with checksum and length
  path.write_bytes(content)
  damage(path, 'CRC')


@pytest.mark.parametrize('change', [-1, 1])
def test_matrix_of_another_length_than_its_header_says(tmp_path, change):
  path = write(tmp_path)['dat']
  content = gzip.decompress(path.read_bytes())
  path.write_bytes(gzip.compress(content[:-1] if change < 0 else content + b'.', 1))
  damage(path, 'reshape' if change < 0 else 'longer than its header')


@pytest.mark.parametrize('kind, change, match', [
    ('dat', lambda a: a[:, :1], r'header is not that of uint8 \(48, 2, 96, 96\)'),
    ('dat', lambda a: a[:-1], 'header is not'), ('cat', lambda a: a[:-1], 'header is not'),
    ('dat', lambda a: a.astype(np.float32), 'header is not that of uint8'),
    ('info', lambda a: a[:, :3], r'header is not that of int32 \(48, 4\)'),
    ('info', lambda a: a + [[0, 0, 1, 0]], 'azimuth is odd'),
    ('info', lambda a: a + [[0, 0, 6, 0]], 'label [345] is out of range'),
    ('info', lambda a: a - [[9, 0, 0, 0]], 'label -[68] is out of range'),
    ('info', lambda a: np.where([True, False, False, False], 1, a), 'same labels')])
def test_wrong_matrices(tmp_path, kind, change, match):
  array = half_of((1, 3))[kind]
  changed = change(array)
  damage(write(tmp_path, **{kind: changed.astype(np.float32 if changed.dtype.kind == 'f' else
                                                 array.dtype)})[kind], match)


def test_full_disk(tmp_path):
  write(tmp_path)
  archives.assert_full_disk_is_survived(smallnorb.open_published, tmp_path, NAMES)
