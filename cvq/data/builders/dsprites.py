"""dSprites: rendered here (default), or the published set of TFDS."""

from __future__ import annotations

import math
import pathlib
from typing import Any, Iterator

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.dsprites import dsprites_dataset_builder as tfds_dsprites

from cvq.data import prepare, published
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images, SpriteImages
from cvq.data.render import dsprites as render

SPACE = FactorSpace((
    Factor('shape', len(render.SHAPES), 'unordered', render.SHAPES),
    Factor('scale', len(render.SCALES)),
    Factor('orientation', len(render.ORIENTATIONS)),
    Factor('posX', render.POSITIONS),
    Factor('posY', render.POSITIONS),
))


class DspritesRendered(tfds.core.GeneratorBasedBuilder):
  """The 720 sprites of cvq.data.render.dsprites as packed bits; positions are not stored."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Square, ellipse and heart of equal areas in windows of 33 pixels.'}

  def _info(self) -> tfds.core.DatasetInfo:
    size = -(-render.WINDOW**2 // 8)
    return tfds.core.DatasetInfo(
        builder=self, description=render.__doc__,
        features=tfds.features.FeaturesDict({
            'number': np.int64,                        # of the sprite, orientation fastest
            'bits': tfds.features.Tensor(shape=(size,), dtype=np.uint8)}))

  def _split_generators(self, dl_manager):
    del dl_manager                                     # nothing to download
    return {'train': self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
    sprites = render.render_sprites().reshape(-1, render.WINDOW**2)
    for number, bits in enumerate(np.packbits(sprites, axis=-1)):
      yield number, {'number': number, 'bits': bits}


(URL, INFO), = tfds_dsprites.Builder.url_infos.items()
LABELS = ('label_shape', 'label_scale', 'label_orientation', 'label_x_position',
          'label_y_position')
VALUES = tuple(label.replace('label', 'value') for label in LABELS)
_BLOCK = 2**15                                         # images read from the hdf5 file at once


class DspritesPublished(published.Builder, skip_registration=True):
  """The published set, in the schema of TFDS, prepared without TensorFlow and block by block."""

  name = 'dsprites'
  VERSION = tfds.core.Version('2.0.0')
  title = 'dSprites'
  files = (published.File(INFO.filename, URL, f'sha256:{INFO.checksum}'),)
  labels = LABELS
  values = VALUES
  channels = 1
  library = 'h5py'
  otherwise = '--config.dataset.source=rendered'

  def num_images(self) -> int:
    return SPACE.num_images

  def generate(self, *paths: pathlib.Path) -> Iterator[published.Example]:
    import h5py                                        # only this source needs it

    with published.reading(paths[0]), h5py.File(paths[0], 'r') as file:
      images, latents = file['imgs'], file['latents']
      for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Column 0 of the latents is the colour: always white.
        classes, values = (latents[name][block, 1:] for name in ('classes', 'values'))
        for number, image in enumerate(images[block]):
          yield start + number, {
              'image': published.png(Image.fromarray(image)),
              **dict(zip(LABELS, classes[number])), **dict(zip(VALUES, values[number]))}


def open_rendered(data_dir: pathlib.Path, options: Any = None) -> Images:
  """Rendered dSprites, prepared in about a second. Raises UserError if damaged or unwritable."""
  del options
  folder = prepare.folder_of(DspritesRendered, data_dir)
  sprites = prepare.in_order(
      prepare.open_source(DspritesRendered, data_dir), math.prod(SPACE.sizes[:3]), 'sprites',
      folder)
  bits = np.stack([sprite['bits'] for sprite in sprites])
  pixels = np.unpackbits(bits, axis=-1, count=render.WINDOW**2) * np.uint8(255)
  images = SpriteImages(SPACE, pixels.reshape(-1, render.WINDOW, render.WINDOW))
  images.folder = folder
  return images


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """The published dSprites as TFDS prepares it, read at random.

  Uses DATA_DIR/dsprites/2.0.0 where TFDS has prepared it (in the format array_record); otherwise
  prepares it there, from the hdf5 file in DATA_DIR or from the network.

  Raises:
    UserError: no such data and no network (within 10 s), or damaged data.
  """
  del options
  return published.open_grid(DspritesPublished, SPACE, data_dir, gain=255)


SOURCES = {'rendered': open_rendered, 'tfds': open_published}
