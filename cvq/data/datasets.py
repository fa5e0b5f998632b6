"""From a config to a dataset: factors and images, prepared on first use.

A dataset is one file in cvq/data/builders: its SOURCES maps the name of a source to a function
that takes the data directory (pathlib.Path) and `config.dataset`, which may hold fields of this
dataset alone, and returns `cvq.data.images.Images`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import pathlib
import pkgutil
from typing import Any

from cvq.data import builders
from cvq.data.factors import FactorSpace
from cvq.data.images import Images
from cvq.errors import UserError


@dataclasses.dataclass(frozen=True)
class Dataset:
  """What training and evaluation read. The model sees images and actions, never factors."""
  name: str
  space: FactorSpace
  images: Images


def names() -> list[str]:
  """Known datasets: the modules of cvq.data.builders."""
  return sorted(module.name for module in pkgutil.iter_modules(builders.__path__))


def load_dataset(config: Any) -> Dataset:
  """Opens a dataset, preparing it first where that has not been done.

  Args:
    config: `config.dataset`, with name, source and data_dir.

  Raises:
    UserError: unknown name or source; data that is missing, damaged, or can't be written.
  """
  if config.name not in names():
    raise UserError(f'Unknown dataset.name {config.name!r}; known: {", ".join(names())}.')
  sources = importlib.import_module(f'{builders.__name__}.{config.name}').SOURCES
  if config.source not in sources:
    raise UserError(f'Unknown dataset.source {config.source!r} of {config.name}; known: '
                    f'{", ".join(sources)}.')
  images = sources[config.source](data_directory(config.data_dir), config)
  return Dataset(config.name, images.space, images)


def data_directory(data_dir: str) -> pathlib.Path:
  """Folder that holds prepared data: `data_dir`, else $CVQ_DATA_DIR, else ~/.cache/cvq."""
  folder = data_dir or os.environ.get('CVQ_DATA_DIR') or '~/.cache/cvq'
  return pathlib.Path(os.path.abspath(os.path.expanduser(folder)))
