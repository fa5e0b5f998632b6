"""CelebA: 202,599 aligned photographs of faces with 40 binary attributes (Liu et al. 2015).

There is no grid: an attribute is stepped by going to another photograph, of another person.
"""

from __future__ import annotations

import io
import pathlib
from typing import Any, Iterator
import zipfile

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as tfds_celeb_a

from cvq.data import prepare, published, records
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images
from cvq.errors import UserError

NUM_IMAGES = 202_599
ATTRIBUTES = tuple(tfds_celeb_a.ATTR_HEADINGS)         # in the published order
_SIZE = (178, 218)                                     # width, height, as published
_SQUARE = (0, 20, 178, 198)                            # the centre: left, top, right, bottom


def _file(url: str) -> published.File:
  info = tfds_celeb_a.Builder.url_infos[url]
  # Large files of this server hide behind a page of warning, unless their download is confirmed.
  number = url.partition('id=')[2]
  url = f'https://drive.usercontent.google.com/download?id={number}&export=download&confirm=t'
  return published.File(info.filename, url, f'sha256:{info.checksum}')


class CelebA64(published.Builder):
  """A centred square of every photograph (178 of 218 rows), resized to 64 pixels.

  Labels: number of the image from 0 on; its part (0 train, 1 validation, 2 test; people are not
  shared); attributes as bits, the first of the published order lowest.
  """

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Resized with a Lanczos filter.'}
  title = 'CelebA'
  files = tuple(map(_file, (
      tfds_celeb_a.IMG_ALIGNED_DATA, tfds_celeb_a.ATTR_DATA, tfds_celeb_a.EVAL_LIST)))
  labels = ('number', 'partition', 'attributes')
  channels = 3

  def num_images(self) -> int:
    return NUM_IMAGES

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    images, attributes, partition = paths
    bits, parts = _attributes(attributes), _partition(partition)
    with published.reading(images), zipfile.ZipFile(images) as file:
      for number in range(NUM_IMAGES):
        image = Image.open(io.BytesIO(file.read(f'img_align_celeba/{_name(number)}')))
        if image.size != _SIZE:
          raise ValueError(f'{_name(number)} has size {image.size}, not {_SIZE}')
        square = image.convert('RGB').crop(_SQUARE)
        yield number, {'image': published.png(published.shrink(square)), 'number': number,
                       'partition': int(parts[number]), 'attributes': int(bits[number])}


def _name(number: int) -> str:
  return f'{number + 1:06}.jpg'


def _attributes(path: pathlib.Path) -> np.ndarray:
  """Attributes of the images as bits, [n] int64. After count and names, a line an image: -1, 1."""
  with published.reading(path):
    count, names, *lines = path.read_text('ascii').splitlines()
    if int(count) != NUM_IMAGES or tuple(names.split()) != ATTRIBUTES:
      raise ValueError(f'{count} images; attributes {names[:60]}')
    values = _values(lines, len(ATTRIBUTES))
    if not (np.abs(values) == 1).all():
      raise ValueError('an attribute is neither -1 nor 1')
    return (values > 0) @ (1 << np.arange(len(ATTRIBUTES)))


def _partition(path: pathlib.Path) -> np.ndarray:
  """Part of each image, [n] int64: 0 train, 1 validation, 2 test. A line an image."""
  with published.reading(path):
    values = _values(path.read_text('ascii').splitlines(), 1)[:, 0]
    if values.min() < 0 or values.max() > 2:
      raise ValueError('a part is not one of 0, 1, 2')
    return values


def _values(lines: list[str], columns: int) -> np.ndarray:
  """Numbers in lines that each begin with the name of an image: [n, columns] int64."""
  rows = [line.split() for line in lines]
  if [row[:1] for row in rows] != [[_name(number)] for number in range(NUM_IMAGES)]:
    raise ValueError(f'its lines are not those of the {NUM_IMAGES} images')
  return np.asarray([row[1:] for row in rows], np.int64).reshape(NUM_IMAGES, columns)


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """CelebA, prepared from the published files; `read` takes numbers of images.

  Args:
    data_dir: root of the data.
    options: `options.attributes` names those that become factors; without: the first ten.

  Returns:
    Images with a space of binary factors, and two arrays over images: `combination` [n] int64,
    index of its attributes in the space, and `published_split` [n] int8, 0 train, 1 validation,
    2 test.

  Raises:
    UserError: unknown attributes, no published file and no network, or damaged data.
  """
  chosen = tuple((options or {}).get('attributes', ATTRIBUTES[:10]))
  unknown = [name for name in chosen if name not in ATTRIBUTES]
  if unknown:
    raise UserError(f'Unknown attribute {unknown[0]!r} in dataset.attributes; known:\n'
                    f'{", ".join(ATTRIBUTES)}')
  space = FactorSpace([Factor(name, 2, 'ordered', ('no', 'yes')) for name in chosen])
  folder, source = published.open_records(CelebA64, data_dir)
  table = records.load_labels(source, CelebA64.labels, folder, data_dir / 'tables')
  order = np.argsort(table[:, 0]).astype(np.int32)     # record of each image
  number, split, bits = table[order].T
  if not np.array_equal(number, np.arange(NUM_IMAGES)):
    raise prepare.damaged(folder, f'its {number.size} records are not the {NUM_IMAGES} images')
  images = records.RecordImages(space, source, order, folder)
  shifts = [ATTRIBUTES.index(name) for name in chosen]
  images.combination = space.to_index(bits[:, None] >> shifts & 1)
  images.published_split = split.astype(np.int8)
  return images


SOURCES = {'published': open_published}
