"""Shapes3D: rendered here (default), or the published set of TFDS."""

from __future__ import annotations

import math
import pathlib
from typing import Any, Iterator

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.shapes3d import shapes3d_dataset_builder as tfds_shapes3d

from cvq.data import prepare, published
from cvq.data.composed import ComposedImages
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images
from cvq.data.render import shapes3d as render

SPACE = FactorSpace((
    *(Factor(f'{layer}_hue', len(render.HUES)) for layer in render.LAYERS),
    Factor('scale', len(render.SCALES)),
    Factor('shape', len(render.SHAPES), 'unordered', tuple(render.SHAPES)),
    Factor('orientation', len(render.ORIENTATIONS)),
))


class Shapes3dRendered(tfds.core.GeneratorBasedBuilder):
  """The 480 geometries of cvq.data.render.shapes3d; the colours are not stored."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'A room with a cube, cylinder, sphere or capsule; 3 x 3 rays a pixel.'}

  def _info(self) -> tfds.core.DatasetInfo:
    picture = tfds.features.Tensor(shape=(render.FRAME, render.FRAME, 3), dtype=np.uint8,
                                   encoding=tfds.features.Encoding.ZLIB)
    return tfds.core.DatasetInfo(
        builder=self, description=render.__doc__,
        features=tfds.features.FeaturesDict({
            'number': np.int64,                        # of the geometry, orientation fastest
            'shares': picture,                         # of the colours of floor, wall and object
            'constant': picture}))

  def _split_generators(self, dl_manager):
    del dl_manager                                     # nothing to download
    return {'train': self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
    shares, constant = (array.reshape(-1, *array.shape[-3:])
                        for array in render.render_geometries())
    for number, pictures in enumerate(zip(shares, constant)):
      yield number, {'number': number, 'shares': pictures[0], 'constant': pictures[1]}


_NAMES = ('floor_hue', 'wall_hue', 'object_hue', 'scale', 'shape', 'orientation')
LABELS = tuple(f'label_{name}' for name in _NAMES)
VALUES = tuple(f'value_{name}' for name in _NAMES)
(URL, INFO), = tfds_shapes3d.Builder.url_infos.items()
_BLOCK = 2**14                                         # images read from the hdf5 file at once


class Shapes3dPublished(published.Builder, skip_registration=True):
  """The published set, in the schema of TFDS, prepared without TensorFlow and block by block."""

  name = 'shapes3d'
  VERSION = tfds.core.Version('2.0.0')
  title = 'Shapes3D'
  files = (published.File('3dshapes.h5', URL, f'sha256:{INFO.checksum}'),)
  labels = LABELS
  values = VALUES
  channels = 3
  library = 'h5py'
  otherwise = '--config.dataset.source=rendered'

  def num_images(self) -> int:
    return SPACE.num_images

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    import h5py                                        # only this source needs it

    with published.reading(paths[0]), h5py.File(paths[0], 'r') as file:
      # 'labels' holds values; a value's label is its rank among those of its factor.
      images, values = file['images'], file['labels'][:]
      labels = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], 1)
      for start in range(0, len(images), _BLOCK):
        for number, image in enumerate(images[start:start + _BLOCK], start):
          yield number, {
              'image': published.png(Image.fromarray(image)),
              **dict(zip(LABELS, labels[number])), **dict(zip(VALUES, values[number]))}


def open_rendered(data_dir: pathlib.Path, options: Any = None) -> Images:
  """Rendered Shapes3D, prepared in seconds. Raises UserError if damaged or unwritable."""
  del options
  folder = prepare.folder_of(Shapes3dRendered, data_dir)
  stored = prepare.in_order(
      prepare.open_source(Shapes3dRendered, data_dir), math.prod(SPACE.sizes[3:]), 'geometries',
      folder)
  shares, constant = (np.stack([record[name] for record in stored])
                      for name in ('shares', 'constant'))
  with prepare.reading(folder):
    images = ComposedImages(SPACE, render.palette(), shares, constant)
  images.folder = folder
  return images


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """The published Shapes3D as TFDS prepares it, read at random.

  Uses DATA_DIR/shapes3d/2.0.0 where TFDS has prepared it (in the format array_record); otherwise
  prepares it there, from the hdf5 file in DATA_DIR or from the network.

  Raises:
    UserError: no such data and no network (within 10 s), or damaged data.
  """
  del options
  return published.open_grid(Shapes3dPublished, SPACE, data_dir)


SOURCES = {'rendered': open_rendered, 'tfds': open_published}
