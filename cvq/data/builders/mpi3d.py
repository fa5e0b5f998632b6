"""MPI3D: a robot arm holds an object; rendered simply, realistically, or photographed.

Gondal et al. 2019. The array of a source takes 12.7 GB; it is read as a stream.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any, Iterator
import zipfile

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from cvq.data import published
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images

SPACE = FactorSpace((
    Factor('object_color', 6, 'unordered', ('white', 'green', 'red', 'blue', 'brown', 'olive')),
    Factor('object_shape', 6, 'unordered',
           ('cone', 'cube', 'cylinder', 'hexagonal', 'pyramid', 'sphere')),
    Factor('object_size', 2, 'ordered', ('small', 'large')),
    Factor('camera_height', 3, 'ordered', ('top', 'center', 'bottom')),
    Factor('background_color', 3, 'unordered', ('purple', 'sea green', 'salmon')),
    Factor('horizontal_axis', 40),
    Factor('vertical_axis', 40),
))
_PIXELS = (published.SIDE, published.SIDE, 3)
_BLOCK = 1024                                          # images read at once
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0}


def _file(source: str) -> tuple[published.File]:
  """The file of a source, from where its authors moved it in 2024.

  No checksum is published there. The file's own, of zip, and its header must do.
  """
  name = f'mpi3d_{source}.npz'
  return (published.File(
      name, f'https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/{name}'),)


class Mpi3d(published.Builder, skip_registration=True):
  """The published images of one source."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'As published.'}
  labels = SPACE.names
  channels = 3

  def num_images(self) -> int:
    return SPACE.num_images

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    path, = paths
    index = np.arange(SPACE.num_images)
    expected = ((index.size, *_PIXELS), False, np.dtype(np.uint8))
    with (published.reading(path), zipfile.ZipFile(path) as file,
          file.open('images.npy') as stream):
      header = _HEADERS[np.lib.format.read_magic(stream)](stream)
      if header != expected:
        raise ValueError(f'shape, order and type are {header}, not {expected}')
      for block in np.split(index, index[_BLOCK::_BLOCK]):
        size = block.size * np.prod(_PIXELS)
        images = np.frombuffer(stream.read(size), np.uint8).reshape(-1, *_PIXELS)
        for number, image, factors in zip(
            block.tolist(), images, SPACE.to_factors(block).tolist(), strict=True):
          yield number, {'image': published.png(Image.fromarray(image)),
                         **dict(zip(self.labels, factors))}
      if stream.read(1):                               # at its end zip has its checksum
        raise ValueError('more images than its header says')


class Mpi3dToy(Mpi3d):
  title = 'MPI3D toy'
  files = _file('toy')


class Mpi3dRealistic(Mpi3d):
  title = 'MPI3D realistic'
  files = _file('realistic')


class Mpi3dReal(Mpi3d):
  title = 'MPI3D real'
  files = _file('real')


def open_published(
    builder_class: type[Mpi3d], data_dir: pathlib.Path, options: Any = None,
) -> Images:
  """A source of MPI3D, prepared from its published file. Raises UserError."""
  del options
  return published.open_grid(builder_class, SPACE, data_dir)


SOURCES = {'toy': functools.partial(open_published, Mpi3dToy),
           'realistic': functools.partial(open_published, Mpi3dRealistic),
           'real': functools.partial(open_published, Mpi3dReal)}
