"""Sprites (LPC): characters composed as they are read, from a folder of sprite sheets.

The folder that `config.dataset.sheets` names holds the sheets; they are licensed CC-BY-SA 3.0 and
GPL 3.0 by their artists, and no part of this project. Every set of sheets is prepared by itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pathlib
import re
from typing import Any, Iterator

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds

from cvq.data import prepare
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images
from cvq.data.render import sprites as render
from cvq.errors import UserError

SPACE = FactorSpace((
    Factor('bottomwear', 7, 'unordered'),
    Factor('topwear', 7, 'unordered'),
    Factor('hair', 10, 'unordered'),
    Factor('eyes', 5, 'unordered'),
    Factor('shoes', 3, 'unordered'),
    Factor('body', 7, 'unordered'),
    Factor('action', len(render.ACTIONS), 'unordered', render.ACTIONS),
    # A quarter turn a step; it does not wrap around, for the view from behind is left out.
    Factor('rotation', len(render.ROTATIONS), 'ordered', render.ROTATIONS),
    # In time. Not cyclic: the sixth frame of a slash is its end, and the other actions, 7 to 13
    # frames long, are cut off there, so that none of them goes on with its first frame.
    Factor('frame', render.FRAMES, 'ordered'),
))
SIZES = dict(zip(SPACE.names, SPACE.sizes))
SHEETS = tuple((layer, value) for layer in render.LAYERS for value in range(SIZES[layer]))

_NEEDED = ('the folders ' + ', '.join(f'{layer} ({SIZES[layer]})' for layer in render.LAYERS) +
           ' of as many PNG sheets, RGBA, '
           f'{render.COLUMNS * render.CELL}x{render.ROWS * render.CELL} pixels')


@dataclasses.dataclass(eq=False)
class SheetsConfig(tfds.core.BuilderConfig):
  """A set of sheets; its name is a hash of their contents.

  Attributes:
    files: path and content of each of SHEETS; empty where they are not at hand.
  """
  files: tuple[tuple[pathlib.Path, bytes], ...] = dataclasses.field(default=(), repr=False)

  def check(self) -> None:
    """Raises UserError for a file that is no sheet."""
    for path, content in self.files:
      _pixels(path, content)


class Sprites(tfds.core.GeneratorBasedBuilder):
  """All cells of a set of sheets that the factors need, a record for each sheet."""

  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'Five actions, three directions, six frames, RGBA.'}

  def _info(self) -> tfds.core.DatasetInfo:
    shape = (render.POSES, render.CELL, render.CELL, 4)
    return tfds.core.DatasetInfo(
        builder=self, description=render.__doc__,
        license='Of the sheets: CC-BY-SA 3.0 and GPL 3.0, by the artists of the LPC.',
        features=tfds.features.FeaturesDict({
            'layer': tfds.features.ClassLabel(names=render.LAYERS),
            'value': np.int64,
            'cells': tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding='zlib')}))

  def _split_generators(self, dl_manager):
    del dl_manager                                     # nothing to download
    return {'train': self._generate_examples()}

  def _generate_examples(self) -> Iterator[tuple[str, dict[str, Any]]]:
    for (layer, value), file in zip(SHEETS, self.builder_config.files):
      yield f'{layer}{value}', {
          'layer': layer, 'value': value, 'cells': render.cut(_pixels(*file))}


class CharacterImages(Images):
  """Images of SPACE, composed at reading time.

  Args:
    cells: of each layer: uint8 [values, POSES, 64, 64, 4], RGBA.
  """

  def __init__(self, cells: dict[str, np.ndarray]):
    self.space, self.image_shape = SPACE, (render.CELL, render.CELL, 3)
    self._composer = render.Composer(cells)
    self._columns = [SPACE.names.index(layer) for layer in render.LAYERS]

  def read(self, index: np.ndarray) -> np.ndarray:
    return self._composer.compose(*self._parts(index))

  def read_into(self, index: np.ndarray, out: np.ndarray) -> None:
    self._composer.compose(*self._parts(index), out)

  def _parts(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = self.space.to_factors(index)
    pose = np.asarray(index) % render.POSES            # the last three factors
    return values.T[self._columns], pose


def open_composed(data_dir: pathlib.Path, options: Any) -> Images:
  """Sprites of the sheets in `options.sheets`; if that is empty, of the only set prepared.

  Raises:
    UserError: no sheets, unusable ones, or prepared data that is damaged or can't be written.
  """
  config = _read_sheets(options.sheets) if options.sheets else _prepared_set(data_dir)
  folder = prepare.folder_of(Sprites, data_dir, config)
  source = prepare.open_source(Sprites, data_dir, config=config, before=config.check)
  with prepare.reading(folder):
    records = source.__getitems__(list(range(len(source))))
    found = {(render.LAYERS[record['layer']], int(record['value'])): record['cells']
             for record in records}
    if set(found) != set(SHEETS):
      raise ValueError(f'{len(records)} records are not the {len(SHEETS)} sheets')
  images = CharacterImages({
      layer: np.stack([found[layer, value] for value in range(SIZES[layer])])
      for layer in render.LAYERS})
  images.folder = folder
  return images


SOURCES = {'composed': open_composed}


def _read_sheets(sheets: str) -> SheetsConfig:
  """Contents of the sheets in a folder. Raises UserError if there are too few."""
  root = pathlib.Path(sheets).expanduser().absolute()
  files = []
  for layer in render.LAYERS:
    try:
      paths = [path for path in (root / layer).iterdir()
               if path.suffix.lower() == '.png' and not path.name.startswith('.')]
    except OSError as error:
      raise UserError(f'dataset.sheets: {root / layer} cannot be read ({error.strerror}).\n'
                      f'--config.dataset.sheets=FOLDER needs {_NEEDED}.') from error
    if len(paths) < SIZES[layer]:
      raise UserError(f'dataset.sheets: {root / layer} holds {len(paths)} PNG sheets; factor '
                      f'{layer} needs {SIZES[layer]}.\nAdd the missing ones, or name another '
                      'folder: --config.dataset.sheets=FOLDER')
    for path in sorted(paths, key=_natural)[:SIZES[layer]]:
      try:
        files.append((path, path.read_bytes()))
      except OSError as error:
        raise _bad_sheet(path, f'cannot be read: {error.strerror}') from error
  digest = hashlib.sha256()
  for _, content in files:
    digest.update(hashlib.sha256(content).digest())
  return SheetsConfig(name=digest.hexdigest()[:16], files=tuple(files))


def _natural(path: pathlib.Path) -> tuple[list[tuple[int, str]], str]:
  """Key that sorts 9.png before 10.png."""
  parts = re.findall(r'(\d+)|(\D+)', path.name.lower())
  return [(int(number or 0), text) for number, text in parts], path.name


def _pixels(path: pathlib.Path, content: bytes) -> np.ndarray:
  """RGBA of a sheet's file, uint8 [1344, 832, 4]. Raises UserError if it is no sheet."""
  size = (render.COLUMNS * render.CELL, render.ROWS * render.CELL)
  try:
    with Image.open(io.BytesIO(content)) as image:
      problem = None
      if image.size != size:
        problem = f'is {image.width}x{image.height} pixels, not {size[0]}x{size[1]}'
      elif not image.has_transparency_data:            # a palette may have it, too
        problem = f'has no transparency (mode {image.mode}, not RGBA)'
      else:
        return np.asarray(image.convert('RGBA'))
  except Exception as error:  # pylint: disable=broad-except   # whatever Pillow makes of the file
    raise _bad_sheet(path, f'is damaged: {" ".join(str(error).split())[:120]}') from error
  raise _bad_sheet(path, problem)


def _bad_sheet(path: pathlib.Path, problem: str) -> UserError:
  return UserError(f'dataset.sheets: {path} {problem}.\nReplace that file by a sheet of the LPC '
                   'layout, or name another folder: --config.dataset.sheets=FOLDER')


def _prepared_set(data_dir: pathlib.Path) -> SheetsConfig:
  """The one set that is prepared. Raises UserError if there is none, or a choice."""
  folders = sorted(data_dir.glob(f'{Sprites.name}/*/{Sprites.VERSION}'))
  if not folders:
    raise UserError(
        f'dataset.sheets is empty, and no Sprites are prepared in {data_dir}.\n'
        f'Get {_NEEDED}: from github.com/YingzhenLi/Sprites (or chosen from '
        'Universal-LPC-spritesheet), licence CC-BY-SA 3.0 / GPL 3.0.\nThen: '
        'python -m cvq.main --config=configs/sprites.py --config.dataset.sheets=FOLDER')
  if len(folders) > 1:
    raise UserError(
        'dataset.sheets is empty, and Sprites are prepared from several sets of sheets:\n'
        f'{", ".join(str(folder.parent) for folder in folders)}\n'
        'Name the folder of the sheets, --config.dataset.sheets=FOLDER, or move the others away.')
  return SheetsConfig(name=folders[0].parent.name)
