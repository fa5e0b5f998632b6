"""CelebA, from files of the published form: photographs in a zip archive, and lists in text."""

import io
import pathlib
import zipfile

from ml_collections import ConfigDict
import numpy as np
from PIL import Image
import pytest

from cvq.data import prepare
from cvq.data.builders import celeb_a
from cvq.errors import UserError
from tests.data.builders import archives

PUBLISHED = celeb_a.NUM_IMAGES
N = 23
INDEX = np.arange(N)
ZIP, ATTRIBUTES, PARTITION = (file.name for file in celeb_a.CelebA64.files)
FILES = [ZIP, ATTRIBUTES, PARTITION]
VALUES = np.random.default_rng(0).integers(0, 2, (N, 40)) * 2 - 1
PARTS = np.repeat([0, 1, 2], [15, 4, 4])

pytestmark = pytest.mark.usefixtures('offline')


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  monkeypatch.setattr(celeb_a, 'NUM_IMAGES', N)


def photograph(number: int, size=(178, 218)) -> bytes:
  """One shade, which survives JPEG."""
  return encoded(np.full((size[1], size[0], 3), number * 10, np.uint8), 'jpeg')


def encoded(pixels: np.ndarray, form: str) -> bytes:
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, form)
  return file.getvalue()


def name_of(number: int) -> str:
  return f'{number + 1:06d}.jpg'


def lines_of(values: np.ndarray, width: int) -> list[str]:
  return [' '.join([name_of(number), *(f'{value:{width}d}' for value in row)])
          for number, row in enumerate(values)]


def write(data_dir: pathlib.Path, photographs=None, head=None, values=VALUES, parts=PARTS):
  with zipfile.ZipFile(data_dir / ZIP, 'w') as file:
    file.writestr('img_align_celeba/', b'')
    for number in reversed(range(N)):
      content = (photographs or {}).get(number, photograph(number))
      if content is not None:
        file.writestr(f'img_align_celeba/{name_of(number)}', content)
  head = [str(N), ' '.join(celeb_a.ATTRIBUTES)] if head is None else head
  (data_dir / ATTRIBUTES).write_text('\n'.join([*head, *lines_of(values, 2)]) + '\n')
  (data_dir / PARTITION).write_text('\n'.join(lines_of(parts[:, None], 1)) + '\n')


def open_(data_dir: pathlib.Path, *attributes: str):
  return celeb_a.open_published(
      data_dir, ConfigDict({'attributes': attributes}) if attributes else None)


def damage(path: pathlib.Path, match: str):
  archives.assert_damage_is_named(open_, path.parent, path, match, FILES)
  write(path.parent)
  assert open_(path.parent).read(INDEX).any()


def test_the_published_set():
  assert PUBLISHED == 202_599 and len(celeb_a.ATTRIBUTES) == 40
  assert celeb_a.ATTRIBUTES[:2] == ('5_o_Clock_Shadow', 'Arched_Eyebrows')
  assert FILES == ['img_align_celeba.zip', 'list_attr_celeba.txt', 'list_eval_partition.txt']


def test_images_keep_their_order(tmp_path):
  write(tmp_path)
  images = open_(tmp_path)
  assert images.image_shape == (64, 64, 3)
  read = images.read(INDEX).astype(int)
  assert abs(read - INDEX[:, None, None, None] * 10).max() <= 1
  some = np.asarray([7, 3, 7])
  np.testing.assert_array_equal(images.read(some), read[some])


def test_images_are_centred_squares(tmp_path):
  """Exactly: 20 rows above and 20 below are left out, and the sides are not changed."""
  pixels = np.zeros((218, 178, 3), np.uint8)
  pixels[20:-20, :89], pixels[20:-20, 89:] = (10, 20, 30), (40, 50, 60)
  write(tmp_path, photographs={0: encoded(pixels, 'png')})    # has no loss, and is read as well
  image, = open_(tmp_path).read(np.asarray([0]))
  assert (image[:, :28] == (10, 20, 30)).all() and (image[:, -28:] == (40, 50, 60)).all()


def test_attributes_and_parts(tmp_path):
  write(tmp_path)
  images = open_(tmp_path)
  assert images.space.names == celeb_a.ATTRIBUTES[:10] and images.space.num_images == 1024
  assert images.space.value_names(0) == ('no', 'yes')
  assert images.combination.dtype == np.int64 and images.published_split.dtype == np.int8
  np.testing.assert_array_equal(images.space.to_factors(images.combination), VALUES[:, :10] > 0)
  np.testing.assert_array_equal(images.published_split, PARTS)


def test_chosen_attributes_need_no_new_preparation(tmp_path):
  write(tmp_path)
  open_(tmp_path)
  for name in FILES:
    (tmp_path / name).unlink()
  images = open_(tmp_path, 'Young', 'Male', 'Bald')
  assert images.space.names == ('Young', 'Male', 'Bald')
  np.testing.assert_array_equal(
      images.space.to_factors(images.combination), VALUES[:, [39, 20, 4]] > 0)


@pytest.mark.parametrize('attributes, match', [
    (('Male', 'male'), "Unknown attribute 'male' .*\n.*5_o_Clock_Shadow, .*Young"),
    (('Male', 'Male'), 'distinct names')])
def test_attributes_that_do_not_exist(tmp_path, attributes, match):
  with pytest.raises(UserError, match=match):
    open_(tmp_path, *attributes)


def test_no_attributes(tmp_path):
  with pytest.raises(UserError, match='distinct names'):
    celeb_a.open_published(tmp_path, ConfigDict({'attributes': ()}))


def test_no_network(tmp_path):
  with pytest.raises(UserError, match='CelebA is not in .* drive.usercontent.* cannot') as error:
    open_(tmp_path)
  archives.assert_helps(error, str(tmp_path), *FILES, *archives.COMMON)
  write(tmp_path)
  (tmp_path / ZIP).unlink()
  with pytest.raises(UserError, match=f'as {ZIP}') as error:
    open_(tmp_path)
  assert PARTITION not in str(error.value)


@pytest.mark.parametrize('lost', [1, 5000, -10])
def test_truncated_archive(tmp_path, lost):
  write(tmp_path)
  (tmp_path / ZIP).write_bytes((tmp_path / ZIP).read_bytes()[:-lost])
  damage(tmp_path / ZIP, 'not a zip file')


def test_wrong_byte(tmp_path):
  write(tmp_path)
  content = bytearray((tmp_path / ZIP).read_bytes())
  content[500] ^= 255
  (tmp_path / ZIP).write_bytes(content)
  damage(tmp_path / ZIP, 'CRC-32')


@pytest.mark.parametrize('content, match', [
    (None, '000006.jpg'), (b'no photograph', 'cannot identify image'),
    (photograph(5)[:-100], 'truncated'), (photograph(5, (218, 178)), r'000006.jpg has size \(218')])
def test_wrong_photograph(tmp_path, content, match):
  write(tmp_path, photographs={5: content})
  damage(tmp_path / ZIP, match)


def test_grey_photograph(tmp_path):
  write(tmp_path, photographs={5: encoded(np.full((218, 178), 50, np.uint8), 'jpeg')})
  assert (abs(open_(tmp_path).read(np.asarray([5])).astype(int) - 50) <= 1).all()


@pytest.mark.parametrize('change, match', [
    ({'head': ['22', ' '.join(celeb_a.ATTRIBUTES)]}, '22 images'),
    ({'head': ['23', ' '.join(celeb_a.ATTRIBUTES[::-1])]}, 'attributes Young'),
    ({'head': ['23']}, 'attributes 000001.jpg'), ({'head': ['many', '']}, 'many'),
    ({'values': VALUES[:-1]}, 'lines are not those of the 23'),
    ({'values': VALUES[:, :-1]}, 'reshape'), ({'values': VALUES * 2}, 'neither -1 nor 1')])
def test_wrong_attributes(tmp_path, change, match):
  write(tmp_path, **change)
  damage(tmp_path / ATTRIBUTES, match)


@pytest.mark.parametrize('parts, match', [
    (PARTS[:-1], 'lines are not'), (PARTS + 1, 'not one of 0, 1, 2'),
    (PARTS - 1, 'not one of 0, 1, 2')])
def test_wrong_partition(tmp_path, parts, match):
  write(tmp_path, parts=parts)
  damage(tmp_path / PARTITION, match)


@pytest.mark.parametrize('name', [ATTRIBUTES, PARTITION])
@pytest.mark.parametrize('content', [b'', b'\xff\xfe', b'<html>'])
def test_no_list(tmp_path, name, content):
  write(tmp_path)
  (tmp_path / name).write_bytes(content)
  damage(tmp_path / name, '')


def test_full_disk(tmp_path):
  write(tmp_path)
  archives.assert_full_disk_is_survived(open_, tmp_path, FILES)


def table_of(data_dir: pathlib.Path) -> pathlib.Path:
  return next((data_dir / 'tables').iterdir())


@pytest.mark.parametrize('change', [
    lambda table: table[::-1], lambda table: table[:-1], lambda table: table.astype(np.int32),
    lambda table: table[:, :2]], ids=['of other records', 'length', 'type', 'columns'])
def test_wrong_table_is_named(tmp_path, change):
  write(tmp_path)
  open_(tmp_path)
  path = table_of(tmp_path)
  np.save(path, change(np.load(path)))
  with pytest.raises(UserError, match='damaged') as error:
    open_(tmp_path)
  archives.assert_helps(error, str(path))


def test_records_that_are_not_the_images(tmp_path, monkeypatch):
  write(tmp_path)
  open_(tmp_path)
  monkeypatch.setattr(celeb_a, 'NUM_IMAGES', N + 1)
  with pytest.raises(UserError, match='23 records are not the 24 images') as error:
    open_(tmp_path)
  archives.assert_helps(error, str(prepare.folder_of(celeb_a.CelebA64, tmp_path)))
