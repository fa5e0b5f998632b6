"""Images in shuffled TFDS records: a table leads from the factor index to the record."""

from __future__ import annotations

import hashlib
import io
import pathlib
import sys
from typing import Callable, Iterator, Sequence

import numpy as np
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2
import tqdm

from cvq import files
from cvq.data import prepare
from cvq.data.factors import FactorSpace
from cvq.data.images import Images
from cvq.errors import UserError

_BLOCK = 4096                  # records read at once while labels are scanned
_PROBES = 32                   # records whose labels are compared with a cached table


class RecordImages(Images):
  """Images decoded from records as they are read.

  Args:
    space: the factor grid, one record for each of its images.
    source: raw records, tf.train.Example with an encoded image and one integer label a factor.
    table: [num_images] int32, record of each image.
    folder: of the records, for messages.
    gain: factor that takes stored values to 0..255.
  """

  def __init__(self, space: FactorSpace, source: Sequence[bytes], table: np.ndarray,
               folder: pathlib.Path, *, gain: int = 1):
    self.space, self._source, self._table, self.folder = space, source, table, folder
    self._gain = np.uint8(gain)
    self.image_shape = self._decode([0])[0].shape

  def read(self, index: np.ndarray) -> np.ndarray:
    index = np.asarray(index, np.int64)
    if not index.size:
      return np.empty((0, *self.image_shape), np.uint8)
    distinct, inverse = np.unique(index, return_inverse=True)
    return self._decode(self._table[distinct].tolist())[inverse]

  def _decode(self, numbers: list[int]) -> np.ndarray:
    with prepare.reading(self.folder):
      images = np.stack([_image(record) for record in self._source.__getitems__(numbers)])
      if images.max() > 255 // self._gain:
        raise ValueError(f'pixel of value {images.max()}, more than {255 // self._gain}')
    return images * self._gain


def load_table(
    space: FactorSpace, source: Sequence[bytes], labels: Sequence[str], folder: pathlib.Path,
    cache: pathlib.Path,
) -> np.ndarray:
  """Record of each image, [num_images] int32: read from a cached table, or built from the labels.

  Args:
    space: the factor grid. source: raw records. labels: feature of each factor, in their order.
    folder: of the records. cache: folder for the table; where it can't be written, the table is
      built again next time.

  Raises:
    UserError: records or table are damaged, or the records are not exactly the grid.
  """
  return _cached(folder, cache, lambda: _build_table(space, source, labels, folder),
                 lambda table: _check_table(table, space, source, labels))


def load_labels(
    source: Sequence[bytes], labels: Sequence[str], folder: pathlib.Path, cache: pathlib.Path,
) -> np.ndarray:
  """Labels of all records, [n, L] int64: read from a cached table, or from the records.

  Args: as of `load_table`. Raises UserError if records or table are damaged.
  """
  def build() -> np.ndarray:
    return np.concatenate([values for _, values in _scan(source, labels, folder)])

  def check(table: np.ndarray) -> None:
    if table.dtype != np.int64 or table.shape != (len(source), len(labels)):
      raise ValueError(f'{table.dtype} {table.shape} for {len(source)} records')
    probes = np.linspace(0, len(source) - 1, min(len(source), _PROBES)).astype(np.int64)
    if not np.array_equal(_labels(source, labels, probes.tolist()), table[probes]):
      raise ValueError('it does not belong to these records')
  return _cached(folder, cache, build, check)


def _cached(folder: pathlib.Path, cache: pathlib.Path, build: Callable[[], np.ndarray],
            check: Callable[[np.ndarray], None]) -> np.ndarray:
  """The table of the records in `folder`: kept in `cache`, and checked whenever it is read."""
  path = cache / f'{folder.parent.name}-{_fingerprint(folder)}.npy'
  if path.exists():
    with prepare.reading(path):
      table = np.load(path, allow_pickle=False)
      check(table)
    return table
  table = build()
  try:
    cache.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, table, allow_pickle=False)
    files.write_bytes(path, content.getbuffer())
  except OSError as error:
    print(f'{path} cannot be written ({error.strerror}): the labels are read again next time.',
          file=sys.stderr)
  return table


def _build_table(space, source, labels, folder) -> np.ndarray:
  if len(source) != space.num_images:
    raise UserError(f'{folder} holds {len(source)} records, not the {space.num_images} images of '
                    f'the factors {", ".join(space.names)}.\nPrepare it again in another '
                    '--config.dataset.data_dir')
  index = np.empty(len(source), np.int64)
  for numbers, values in _scan(source, labels, folder):
    with prepare.reading(folder):
      outside = (values < 0) | (values >= np.asarray(space.sizes))
      if outside.any():
        raise ValueError(f'label {values[outside][0]} is out of range')
    index[numbers.start:numbers.stop] = space.to_index(values)
  table = np.full(space.num_images, -1, np.int32)
  table[index] = np.arange(len(source), dtype=np.int32)
  if table.min() < 0:
    missing = space.to_factors(np.flatnonzero(table < 0)[:1])[0]
    raise prepare.damaged(folder, f'no record for {dict(zip(space.names, missing.tolist()))}')
  return table


def _check_table(table, space, source, labels) -> None:
  """Raises ValueError unless the table is a permutation that agrees with a few of the records."""
  size = space.num_images
  if table.dtype != np.int32 or table.shape != (size,) or len(source) != size:
    raise ValueError(f'{table.dtype} {table.shape} for {len(source)} records of {size} images')
  if not np.array_equal(np.sort(table), np.arange(size)):
    raise ValueError('not every record has its place')
  probes = np.linspace(0, size - 1, min(size, _PROBES)).astype(np.int64)
  if not np.array_equal(_labels(source, labels, table[probes].tolist()), space.to_factors(probes)):
    raise ValueError('it does not belong to these records')


def _scan(source, labels, folder) -> Iterator[tuple[range, np.ndarray]]:
  """Labels of all records, block by block: (numbers of records, [n, L] int64)."""
  with tqdm.tqdm(total=len(source), desc='Reading labels', unit='images') as progress:
    for start in range(0, len(source), _BLOCK):
      numbers = range(start, min(start + _BLOCK, len(source)))
      with prepare.reading(folder):
        values = _labels(source, labels, list(numbers))
      yield numbers, values
      progress.update(len(numbers))


def _labels(source, labels, numbers) -> np.ndarray:
  """Labels of records: [n, F] int64."""
  examples = map(tf_example_pb2.Example.FromString, source.__getitems__(numbers))
  return np.asarray([[feature[label].int64_list.value[0] for label in labels]
                     for feature in (example.features.feature for example in examples)])


def _image(record: bytes) -> np.ndarray:
  feature = tf_example_pb2.Example.FromString(record).features.feature
  pixels = np.asarray(Image.open(io.BytesIO(feature['image'].bytes_list.value[0])))
  return pixels.reshape(*pixels.shape[:2], -1)


def _fingerprint(folder: pathlib.Path) -> str:
  """Short hash of the names and sizes of the record files: another set has another table."""
  files = sorted((path.name, path.stat().st_size) for path in folder.glob(f'*.{prepare.FORMAT}*'))
  return hashlib.sha256(repr(files).encode()).hexdigest()[:16]
