"""SmallNORB: 50 toys of 5 categories under turning, tilt and light (LeCun et al. 2004)."""

from __future__ import annotations

import gzip
import itertools
import math
import pathlib
from typing import Any, Iterator

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.smallnorb import smallnorb_dataset_builder as tfds_smallnorb

from cvq.data import published
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images

SPACE = FactorSpace((
    Factor('category', 5, 'unordered', ('animal', 'human', 'airplane', 'truck', 'car')),
    Factor('instance', 10, 'unordered'),
    Factor('elevation', 9, 'ordered', tuple(f'{angle}°' for angle in range(30, 71, 5))),
    Factor('azimuth', 18, 'cyclic', tuple(f'{angle}°' for angle in range(0, 360, 20))),
    Factor('lighting', 6, 'unordered'),
))
_PIXELS = (2, 96, 96)                                  # of the two cameras, as published
_MAGIC = {np.uint8: 0x1e3d4c55, np.int32: 0x1e3d4c54}


class Smallnorb64(published.Builder):
  """The left images of the training and the test file, resized from 96 to 64 pixels.

  Labels have the names of TFDS's builder smallnorb, which needs TensorFlow to read the files and
  keeps the test file, with half of the instances, apart.
  """

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Resized with a Lanczos filter.'}
  title = 'SmallNORB'
  # In the order of their names: cat, dat, info for testing, then for training.
  files = tuple(published.File(info.filename, url, f'sha256:{info.checksum}')
                for url, info in sorted(tfds_smallnorb.Builder.url_infos.items()))
  labels = ('label_category', 'instance', 'label_elevation', 'label_azimuth', 'label_lighting')
  channels = 1

  def num_images(self) -> int:
    return SPACE.num_images

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    halves = paths[:3], paths[3:]
    factors = np.empty((0, SPACE.num_factors), np.int32)
    for cat, _, info in halves:
      factors = np.concatenate([factors, _factors(cat, info)])
      with published.reading(info):
        if len(np.unique(factors, axis=0)) != len(factors):
          raise ValueError('two images have the same labels')
    index = SPACE.to_index(factors)
    images = itertools.chain.from_iterable(
        _rows(dat, (SPACE.num_images // 2, *_PIXELS), np.uint8) for _, dat, _ in halves)
    for number, values, pair in zip(index.tolist(), factors.tolist(), images, strict=True):
      yield number, {'image': published.png(published.shrink(Image.fromarray(pair[0]))),
                     **dict(zip(self.labels, values))}


def _factors(cat: pathlib.Path, info: pathlib.Path) -> np.ndarray:
  """Factor values of the images of one half: [n, 5] int32."""
  count = SPACE.num_images // 2
  category = np.stack(list(_rows(cat, (count,), np.int32)))
  info_rows = np.stack(list(_rows(info, (count, 4), np.int32)))
  factors = np.concatenate([category[:, None], info_rows], axis=-1)
  with published.reading(info):
    if (factors[:, 3] % 2).any():                      # azimuths are stored as 0, 2, .. 34
      raise ValueError('an azimuth is odd')
    factors[:, 3] //= 2
    outside = (factors < 0) | (factors >= SPACE.sizes)
    if outside.any():
      raise ValueError(f'label {factors[outside][0]} is out of range')
  return factors


def _rows(path: pathlib.Path, shape: tuple[int, ...], dtype: type) -> Iterator[np.ndarray]:
  """Rows of a gzipped NORB matrix: magic, rank, sizes (at least three), values; little-endian."""
  header = np.asarray([_MAGIC[dtype], len(shape), *shape], '<i4').tobytes()
  size = np.dtype(dtype).itemsize * math.prod(shape[1:])
  with published.reading(path), gzip.open(path) as stream:
    if stream.read(len(header)) != header:
      raise ValueError(f'the header is not that of {dtype.__name__} {shape}')
    stream.read(4 * max(3 - len(shape), 0))            # sizes without a meaning
    for _ in range(shape[0]):
      row = np.frombuffer(stream.read(size), np.dtype(dtype).newbyteorder('<'))
      yield row.reshape(shape[1:])
    if stream.read(1):                                 # at its end gzip has its checksum
      raise ValueError('longer than its header says')


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """SmallNORB, prepared from the six published files. Raises UserError."""
  del options
  return published.open_grid(Smallnorb64, SPACE, data_dir)


SOURCES = {'published': open_published}
