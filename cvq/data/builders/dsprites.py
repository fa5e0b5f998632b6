"""dSprites: rendered here (default), or the published set of TFDS."""

from __future__ import annotations

import pathlib
from typing import Any, Iterator

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.dsprites import dsprites_dataset_builder as tfds_dsprites

from cvq.data import prepare, published, records
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images, SpriteImages
from cvq.data.render import dsprites as render

SPACE = FactorSpace((
    Factor('shape', len(render.SHAPES)),
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


URL, = tfds_dsprites.Builder.url_infos
FILE = published.PublishedFile(
    'dSprites', URL, 'dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5')
LABELS = ('label_shape', 'label_scale', 'label_orientation', 'label_x_position',
          'label_y_position')
_VALUES = tuple(label.replace('label', 'value') for label in LABELS)
_BLOCK = 2**15                                         # images read from the hdf5 file at once


class DspritesPublished(tfds_dsprites.Builder, skip_registration=True):
  """The published set, in the schema of TFDS, prepared without TensorFlow.

  The builder of TFDS encodes its PNGs with TensorFlow and holds all images in memory; this one
  encodes with Pillow, block by block. Takes the file from the data directory if it lies there.
  """

  name = 'dsprites'
  url_infos = tfds_dsprites.Builder.url_infos          # size and checksum of the download

  def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
    path = FILE.locate(pathlib.Path(self.data_dir_root), dl_manager)
    return {'train': self._generate_examples(path)}

  def _generate_examples(self, filepath: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    import h5py                                        # only this source needs it

    try:
      with h5py.File(filepath, 'r') as file:
        images, latents = file['imgs'], file['latents']
        for start in range(0, len(images), _BLOCK):
          block = slice(start, start + _BLOCK)
          # Column 0 of the latents is the colour: always white.
          classes, values = (latents[name][block, 1:] for name in ('classes', 'values'))
          for number, image in enumerate(images[block]):
            yield start + number, {
                'image': published.png(image), **dict(zip(LABELS, classes[number])),
                **dict(zip(_VALUES, values[number]))}
    except (OSError, KeyError) as error:
      raise prepare.damaged(pathlib.Path(filepath), error) from error


def open_rendered(data_dir: pathlib.Path, options: Any = None) -> Images:
  """Rendered dSprites, prepared in about a second. Raises UserError if damaged or unwritable."""
  del options
  folder = prepare.folder_of(DspritesRendered, data_dir)
  source = prepare.open_source(DspritesRendered, data_dir)
  with prepare.reading(folder):
    records = source.__getitems__(list(range(len(source))))
    numbers = np.asarray([record['number'] for record in records])
    if not np.array_equal(np.sort(numbers), np.arange(np.prod(SPACE.sizes[:3]))):
      raise ValueError(f'{len(numbers)} records are not the {np.prod(SPACE.sizes[:3])} sprites')
    bits = np.stack([record['bits'] for record in records])[np.argsort(numbers)]
  pixels = np.unpackbits(bits, axis=-1, count=render.WINDOW**2) * np.uint8(255)
  return SpriteImages(SPACE, pixels.reshape(-1, render.WINDOW, render.WINDOW))


def open_published(data_dir: pathlib.Path, options: Any = None) -> Images:
  """The published dSprites as TFDS prepares it, read at random.

  Uses DATA_DIR/dsprites/2.0.0 where TFDS has prepared it (in the format array_record); otherwise
  prepares it there, from the hdf5 file in DATA_DIR or from the network.

  Raises:
    UserError: no such data and no network (within 10 s), or damaged data.
  """
  del options
  folder = prepare.folder_of(DspritesPublished, data_dir)
  source = prepare.open_source(
      DspritesPublished, data_dir, before=lambda: FILE.check_obtainable(data_dir), raw=True)
  table = records.load_table(SPACE, source, LABELS, folder, data_dir / 'tables')
  return records.RecordImages(SPACE, source, table, folder, gain=255)


SOURCES = {'rendered': open_rendered, 'tfds': open_published}
