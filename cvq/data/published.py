"""Published files of datasets: found or downloaded, and their images written once, in order."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import importlib.util
import io
import itertools
import os
import pathlib
from typing import Any, Iterator

import numpy as np
from PIL import Image
import requests
import tensorflow_datasets as tfds
import tqdm

from cvq.data import prepare, records
from cvq.data.factors import FactorSpace
from cvq.data.images import Images
from cvq.errors import UserError

SIDE = 64                      # of the stored images
_SHARD = 2**14                 # images of a file of records; held in memory, encoded, as it is made
_CHUNK = 2**20                 # bytes downloaded at once

Example = tuple[int, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class File:
  """One file as its authors publish it.

  Attributes:
    name: that it has in the data directory.
    url: address.
    digest: 'ALGORITHM:HEX' with an algorithm of hashlib, where one is known. A download is held
      against it; a file that the user put there is judged by its content alone.
  """
  name: str
  url: str
  digest: str = ''


class Builder(tfds.core.ShardBasedBuilder, skip_registration=True):
  """Writes the images of published files as PNG with integer labels, without TensorFlow.

  A GeneratorBasedBuilder shuffles more than 1 GB through files that only TensorFlow can open, and
  writes everything twice.

  Attributes:
    title: name of the dataset in messages.
    files: what is read; each is taken from the data directory, or downloaded into it.
    labels: integer features beside the image. values: floating ones.
    channels: of the image.
    library: that the files alone need, of the extra `published`.
    otherwise: flag that does without the files, for messages.
  """
  title: str
  files: tuple[File, ...]
  labels: tuple[str, ...]
  values: tuple[str, ...] = ()
  channels: int
  library: str = ''
  otherwise: str = ''

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=self, description=self.__doc__, disable_shuffling=True,
        features=tfds.features.FeaturesDict({
            'image': tfds.features.Image(shape=(SIDE, SIDE, self.channels)),
            **dict.fromkeys(self.labels, np.int64), **dict.fromkeys(self.values, np.float32)}))

  def _shard_iterators_per_split(self, dl_manager: Any) -> dict[str, Any]:
    del dl_manager                                     # it cannot go on with half a download
    data_dir = pathlib.Path(self.data_dir_root)
    paths = [_obtain(self, file, data_dir) for file in self.files]
    examples = self._examples(paths)
    # The shards are written one after the other, so each takes what comes next; the last goes on
    # to the end, beyond the last image, where checksums are compared.
    full = functools.partial(itertools.islice, examples, _SHARD)
    return {'train': [full] * ((self.num_images() - 1) // _SHARD) + [lambda: examples]}

  def _examples(self, paths: list[pathlib.Path]) -> Iterator[Example]:
    with tqdm.tqdm(total=self.num_images(), desc=self.name, unit='images') as progress:
      for example in self.generate(*paths):
        yield example
        progress.update()

  @abc.abstractmethod
  def num_images(self) -> int:
    """Number of images that `generate` yields."""

  @abc.abstractmethod
  def generate(self, *paths: pathlib.Path) -> Iterator[Example]:
    """Examples with their numbers. paths: of the files. Raises UserError if they are damaged."""


def open_grid(
    builder_class: type[Builder], space: FactorSpace, data_dir: pathlib.Path, *, gain: int = 1,
) -> Images:
  """Images of a full grid, prepared on first use, read at random.

  Args:
    builder_class: its labels are the factor values. space: the grid. data_dir: root of the data.
    gain: factor that takes stored pixels to 0..255.

  Raises:
    UserError: no published file and no network (within 10 s), no library that reads it, or damaged
      data.
  """
  folder, source = open_records(builder_class, data_dir)
  table = records.load_table(space, source, builder_class.labels, folder, data_dir / 'tables')
  return records.RecordImages(space, source, table, folder, gain=gain)


def open_records(
    builder_class: type[Builder], data_dir: pathlib.Path,
) -> tuple[pathlib.Path, Any]:
  """Folder and raw records of a builder, prepared on first use. Raises UserError."""
  source = prepare.open_source(
      builder_class, data_dir, before=lambda: _check_obtainable(builder_class, data_dir), raw=True)
  return prepare.folder_of(builder_class, data_dir), source


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
  """Turns whatever a damaged published file makes its reader raise into a UserError."""
  try:
    yield
  except (UserError, MemoryError):
    raise
  except Exception as error:  # pylint: disable=broad-except
    detail = ' '.join(str(error).split())[:160] or type(error).__name__
    raise (prepare.unreadable(path, error) or UserError(
        f'{path} is damaged, or not the published file:\n{detail}.\n'
        'Move or delete it and repeat the command; it is downloaded again.')) from error


def shrink(image: Image.Image) -> Image.Image:
  """An image at SIDE x SIDE, antialiased by a Lanczos filter, as in disentanglement_lib."""
  return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def png(image: Image.Image) -> bytes:
  """Encoded image. A higher level of compression takes far longer and saves little."""
  file = io.BytesIO()
  image.save(file, format='png', compress_level=1)
  return file.getvalue()


def _obtain(builder: Any, file: File, data_dir: pathlib.Path) -> pathlib.Path:
  """Path of a file in the data directory, downloaded if it is not there. Raises UserError."""
  path = data_dir / file.name
  if path.exists():
    return path
  with _alone(data_dir):
    if not path.exists():                              # another process was faster
      _fetch(builder, file, data_dir, path.with_name(f'{path.name}.partial')).replace(path)
  return path


def _fetch(builder: Any, file: File, data_dir: pathlib.Path, partial: pathlib.Path) -> pathlib.Path:
  """Downloads a file into `partial`, and checks it."""
  try:
    _download(file, partial)
  except requests.RequestException as error:
    raise _unobtainable(builder, data_dir, f'the download failed ({error}); the same command '
                        'goes on with it') from error
  if file.digest and _digest(partial, file.digest.partition(':')[0]) != file.digest:
    size = partial.stat().st_size
    partial.unlink()
    raise _unobtainable(builder, data_dir, f'what came for {file.name} ({size:,} bytes) does not '
                        f'have the checksum {file.digest} and was deleted')
  return partial


@contextlib.contextmanager
def _alone(folder: pathlib.Path) -> Iterator[None]:
  """Waits until no other process, of this machine or another, downloads into a folder."""
  place = os.open(folder, os.O_RDONLY)
  try:
    with contextlib.suppress(OSError):                 # some file systems have no locks
      try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        print(f'Another process downloads into {folder}; waiting for it.', flush=True)
        fcntl.flock(place, fcntl.LOCK_EX)
    yield
  finally:
    os.close(place)


def _download(file: File, partial: pathlib.Path) -> None:
  """Downloads into `partial`, going on where an earlier attempt ended."""
  begin = partial.stat().st_size if partial.exists() else 0
  headers = {'Accept-Encoding': 'identity'} | ({'Range': f'bytes={begin}-'} if begin else {})
  with requests.get(file.url, headers=headers, stream=True, timeout=30) as response:
    if begin and response.status_code == requests.codes.requested_range_not_satisfiable:
      return                                           # it is complete, and now checked
    response.raise_for_status()
    if response.status_code != requests.codes.partial_content:
      begin = 0                                        # the server starts from the beginning
    length = response.headers.get('Content-Length')
    with open(partial, 'ab' if begin else 'wb') as output, tqdm.tqdm(
        desc=file.name, initial=begin, total=length and begin + int(length), unit='B',
        unit_scale=True) as progress:
      for chunk in response.iter_content(_CHUNK):
        output.write(chunk)
        progress.update(len(chunk))
      output.flush()
      os.fsync(output.fileno())                        # before it gets its name: a power cut


def _digest(path: pathlib.Path, algorithm: str) -> str:
  with open(path, 'rb') as file:
    return f'{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}'


def _check_obtainable(builder: Any, data_dir: pathlib.Path) -> None:
  """Raises UserError if published files can't be read, or are neither there nor to be had."""
  if builder.library and importlib.util.find_spec(builder.library) is None:
    raise UserError(f'The published {builder.title} needs {builder.library}: pip install -e '
                    "'.[published]' -c constraints.txt\nThen repeat the command.")
  for file in _missing(builder, data_dir)[:1]:         # the others lie on the same server
    problem = prepare.unreachable(file.url)
    if problem:
      raise _unobtainable(builder, data_dir, problem)


def _unobtainable(builder: Any, data_dir: pathlib.Path, reason: str) -> UserError:
  reason = ' '.join(reason.split())[:240]
  wanted = ', '.join(f'{file.url} as {file.name}' for file in _missing(builder, data_dir))
  otherwise = f'; to do without it: {builder.otherwise}' if builder.otherwise else ''
  return UserError(f'{builder.title} is not in {data_dir}: {reason}\nPut there {wanted},\nor name '
                   'its folder by --config.dataset.data_dir=FOLDER, and repeat the command'
                   f'{otherwise}')


def _missing(builder: Any, data_dir: pathlib.Path) -> list[File]:
  return [file for file in builder.files if not (data_dir / file.name).exists()]
