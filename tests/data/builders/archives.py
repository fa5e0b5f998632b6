"""What the tests of published archives share."""

import errno
import itertools
import pathlib

import pytest
from tensorflow_datasets.core import writer

from cvq.errors import UserError

COMMON = ['--config.dataset.data_dir=FOLDER', 'repeat the command']


def assert_helps(error: pytest.ExceptionInfo, *words: str):
  message = str(error.value)
  assert len(message.splitlines()) <= 3
  for word in words:
    assert word in message


def assert_nothing_prepared(data_dir: pathlib.Path, published=()):
  """Nothing but the published files lies there, and nothing that could be taken for prepared."""
  names = {path.name for path in data_dir.iterdir() if path.is_file()}
  assert names == set(published)
  assert not any(path.is_file() for path in data_dir.glob('*/**/*'))


def assert_full_disk_is_survived(open_, data_dir: pathlib.Path, published=()):
  """The disk is full after five records; then there is room."""
  def fills(self, path, examples):
    for _ in itertools.islice(examples, 5):
      pathlib.Path(path).write_bytes(b'something')
    raise OSError(errno.ENOSPC, 'No space left on device')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(writer.ExampleWriter, 'write', fills)
    with pytest.raises(UserError, match='cannot be written: No space left on device') as error:
      open_(data_dir)
  assert_helps(error, str(data_dir), '--config.dataset.data_dir')
  assert_nothing_prepared(data_dir, published)
  assert open_(data_dir).image_shape


def assert_damage_is_named(open_, data_dir: pathlib.Path, path: pathlib.Path, match: str,
                           published=()):
  """The damaged file is named and left alone, and nothing is prepared from it."""
  content = path.read_bytes()
  with pytest.raises(UserError, match='is damaged, or not the published file') as error:
    open_(data_dir)
  assert error.match(match)
  assert_helps(error, str(path), 'Move or delete it')
  assert path.read_bytes() == content
  assert_nothing_prepared(data_dir, published)
