"""Cars3D: 183 cars, each seen from 24 sides and 4 heights (Reed et al. 2015)."""

from __future__ import annotations

import gzip
import io
import pathlib
import re
import tarfile
from typing import Any, Iterator

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from cvq.data import published
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images

SPACE = FactorSpace((
    Factor('elevation', 4),
    Factor('azimuth', 24, 'cyclic'),
    Factor('object_type', 183, 'unordered'),
))
_CAR = re.compile(r'(\./)?data/cars/\w[^/]*\.mat')
_PIXELS = (128, 128, 3)                                # as published
_LARGEST = 2**25                                       # bytes of a car; unpacked, one takes 5 MB


class Cars3d(published.Builder):
  """The published images, resized from 128 to 64 pixels. Cars are numbered by their file names."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Resized with a Lanczos filter.'}
  title = 'Cars3D'
  files = (published.File(
      name='nips2015-analogy-data.tar.gz',
      url='http://www.scottreed.info/files/nips2015-analogy-data.tar.gz',
      digest='md5:4e866a7919c1beedf53964e6f7a23686'),)
  labels = SPACE.names
  channels = 3

  def num_images(self) -> int:
    return SPACE.num_images

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    import scipy.io                                    # only this dataset needs it

    archive, = paths
    elevations, azimuths, cars = SPACE.sizes
    with published.reading(archive):
      names = sorted(name for name, _ in _cars(archive))
      if len(names) != cars:
        raise ValueError(f'{len(names)} files data/cars/*.mat, not {cars}')
      for name, file in _cars(archive):
        content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
          raise ValueError(f'{name} is larger than {_LARGEST >> 20} MB')
        images = scipy.io.loadmat(io.BytesIO(content), variable_names=['im'])['im']
        if images.shape != (*_PIXELS, azimuths, elevations) or images.dtype != np.uint8:
          raise ValueError(f'{name}: {images.dtype} {images.shape}')
        for azimuth, elevation in np.ndindex(azimuths, elevations):
          factors = (elevation, azimuth, names.index(name))
          image = Image.fromarray(np.ascontiguousarray(images[..., azimuth, elevation]))
          yield int(SPACE.to_index(factors)), {
              'image': published.png(published.shrink(image)), **dict(zip(self.labels, factors))}


def _cars(archive: pathlib.Path) -> Iterator[tuple[str, Any]]:
  """Names and open files of the cars, in the order of the archive. Nothing is unpacked to disk."""
  with gzip.open(archive) as stream:
    with tarfile.open(fileobj=stream, mode='r|') as tar:
      for member in tar:
        if _CAR.fullmatch(member.name):
          yield member.name, tar.extractfile(member)
    while stream.read(2**20):                          # to its end, where gzip has its checksum
      pass


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """Cars3D, prepared from the published archive. Raises UserError."""
  del options
  return published.open_grid(Cars3d, SPACE, data_dir)


SOURCES = {'published': open_published}
