"""A published file, taken from the data directory or downloaded, that TFDS then prepares."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from cvq.data import prepare
from cvq.errors import UserError


@dataclasses.dataclass(frozen=True)
class PublishedFile:
  """Where a dataset's file comes from.

  Attributes:
    title: of the dataset, for messages.
    url: its address; TFDS knows its checksum.
    name: of the file in the data directory.
  """
  title: str
  url: str
  name: str

  def check_obtainable(self, data_dir: pathlib.Path) -> None:
    """Raises UserError within 10 s if the file is not there and can't be had, or can't be read."""
    if self.name.endswith(('.h5', '.hdf5')) and importlib.util.find_spec('h5py') is None:
      raise UserError('dataset.source=tfds reads an hdf5 file: install h5py (pip install h5py), '
                      'or use --config.dataset.source=rendered')
    if not (data_dir / self.name).exists():
      problem = prepare.unreachable(self.url)
      if problem:
        raise self._missing(data_dir, problem)

  def locate(self, data_dir: pathlib.Path, dl_manager: Any) -> pathlib.Path:
    """The file in the data directory, else downloaded. Raises UserError if that fails."""
    local = data_dir / self.name
    if local.exists():
      return local
    try:
      return pathlib.Path(dl_manager.download(self.url))
    except Exception as error:
      raise self._missing(data_dir, f'Download failed ({error})') from error

  def _missing(self, data_dir: pathlib.Path, reason: str) -> UserError:
    reason = ' '.join(reason.split())[:200]
    return UserError(
        f'{self.title} is not in {data_dir}: {reason}\n'
        f'Put {self.url} there as {self.name},\n'
        'or name its folder by --config.dataset.data_dir=FOLDER, and repeat the command; to do '
        'without it: --config.dataset.source=rendered')


def png(image: np.ndarray) -> bytes:
  """An image as TFDS would store it, without TensorFlow. image: [H, W] or [H, W, 3] uint8."""
  file = io.BytesIO()
  Image.fromarray(image).save(file, format='png')
  return file.getvalue()
