"""Preparing and opening TFDS builders as random-access sources, without TensorFlow."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import fcntl
import io
import os
import pathlib
import shutil
import threading
from typing import Any, Callable, Iterator, Sequence
import urllib.parse

import requests
import tensorflow_datasets as tfds

from cvq.errors import UserError

FORMAT = 'array_record'
# What keeps files that may be whole from being opened, and the remedy.
_CLOSED = dict.fromkeys(
    (errno.EACCES, errno.EPERM), 'Give this user the right to read it, or choose another folder: '
    '--config.dataset.data_dir=FOLDER') | dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), 'Close other programs, or raise the limit of open files '
        '(ulimit -n), and repeat the command.')

_may_obtain = contextvars.ContextVar('may_obtain', default=True)


@contextlib.contextmanager
def nothing_obtained() -> Iterator[None]:
  """Inside, data that would have to be obtained counts as missing; rendered data is prepared."""
  token = _may_obtain.set(False)
  try:
    yield
  finally:
    _may_obtain.reset(token)


def folder_of(
    builder_class: type, data_dir: pathlib.Path, config: tfds.core.BuilderConfig | None = None,
) -> pathlib.Path:
  """Folder of a builder's prepared data: DATA_DIR/name[/config]/version."""
  parts = (builder_class.name, *([config.name] if config else ()), str(builder_class.VERSION))
  return data_dir.joinpath(*parts)


def open_source(
    builder_class: type, data_dir: pathlib.Path, *,
    config: tfds.core.BuilderConfig | None = None, before: Callable[[], None] | None = None,
    raw: bool = False,
) -> Sequence[Any]:
  """Records of a builder's 'train' split, prepared first if they are not there yet.

  TFDS writes into a folder of its own and renames it when complete: a preparation that was killed
  leaves no prepared data behind, and the next call repeats it and deletes what was begun.

  Args:
    builder_class: of the TFDS builder.
    data_dir: root of the prepared data.
    config: of the builder, where one class makes several sets.
    before: called before a preparation that needs files from elsewhere; raises UserError where
      that can't succeed.
    raw: records stay bytes (serialised tf.train.Example).

  Raises:
    UserError: the folder can't be written or read, or what it holds is damaged.
  """
  folder = folder_of(builder_class, data_dir, config)
  method = tfds.decode.DeserializeMethod
  with reading(folder):                                # TFDS takes one closed to it for empty
    names = ' '.join(os.listdir(folder)) if folder.exists() else None
  if names is None:
    if before:
      if not _may_obtain.get():
        raise UserError(f'{builder_class.name} is not prepared in {data_dir}.\n'
                        'Prepare it: the same command with --mode=data')
      before()
    _prepare(builder_class, data_dir, config)
  elif f'.{FORMAT}' not in names and '.tfrecord' in names:
    raise UserError(
        f'{folder} holds tfrecord files, which cannot be read at random.\n'
        'Convert them, where TensorFlow is installed: tfds convert_format '
        f'--dataset_version_dir={folder} --out_file_format={FORMAT}\n'
        'Or choose another folder: --config.dataset.data_dir=FOLDER')
  with reading(folder):
    builder = builder_class(data_dir=data_dir, config=config, file_format=FORMAT)
    return builder.as_data_source(
        'train', deserialize_method=method.RAW_BYTES if raw else method.DESERIALIZE_AND_DECODE)


def in_order(source: Sequence[dict[str, Any]], count: int, what: str, folder: pathlib.Path
             ) -> list[dict[str, Any]]:
  """Decoded records in the order of their 'number'.

  Args:
    source: of `open_source`. count, what: of them there must be. folder: of them, for messages.

  Raises:
    UserError: records are damaged, or their numbers are not 0 to count - 1.
  """
  with reading(folder):
    records = sorted(source.__getitems__(list(range(len(source)))),
                     key=lambda record: record['number'])
    if [record['number'] for record in records] != list(range(count)):
      raise ValueError(f'{len(records)} records are not the {count} {what}')
    return records


@contextlib.contextmanager
def reading(place: pathlib.Path) -> Iterator[None]:
  """Turns what TFDS and array_record raise on unreadable files into a UserError naming them."""
  try:
    yield
  except (UserError, MemoryError):
    raise
  except Exception as error:  # pylint: disable=broad-except
    raise (unreadable(place, error) or damaged(place, error)) from error


def unreadable(place: pathlib.Path, error: BaseException | None) -> UserError | None:
  """The error for what may be whole, but can't be opened, as `error` tells; None for others."""
  while error is not None:                             # TFDS wraps; array_record has words alone
    for number, remedy in _CLOSED.items():
      if getattr(error, 'errno', None) == number or os.strerror(number) in str(error):
        return UserError(f'{place} cannot be read: {os.strerror(number)}.\n{remedy}')
    error = error.__cause__ or error.__context__
  return None


def damaged(place: pathlib.Path, reason: object) -> UserError:
  """The error for prepared data that can't be used. Nothing is deleted: that is the user's call."""
  detail = ' '.join(str(reason).split())[:120]
  return UserError(f'Prepared data is damaged: {place}\n({detail})\n'
                   'Move or delete that and repeat the command; it is prepared again.')


def unreachable(url: str, *, seconds: float = 8.) -> str | None:
  """Why an address can't be reached, or None if it can; known within `seconds`.

  Without network, a download by TFDS repeats itself for minutes, and name resolution has no limit
  of its own: the question is asked on a thread that is not waited for longer.
  """
  answer: list[str | None] = []

  def ask() -> None:
    try:
      requests.head(url, timeout=seconds / 2, allow_redirects=True).raise_for_status()
      answer.append(None)
    except Exception as error:  # pylint: disable=broad-except   # whatever it is: no download
      answer.append(type(error).__name__)

  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(seconds)
  problem = answer[0] if answer else f'no answer in {seconds:g} s'
  return problem and f'{urllib.parse.urlsplit(url).hostname} cannot be reached ({problem}).'


def _prepare(
    builder_class: type, data_dir: pathlib.Path, config: tfds.core.BuilderConfig | None
) -> None:
  folder = folder_of(builder_class, data_dir, config)
  try:
    data_dir.mkdir(parents=True, exist_ok=True)
    print(f'Preparing {builder_class.name} in {folder} (only this once).', flush=True)
    builder = builder_class(data_dir=data_dir, config=config, file_format=FORMAT)
    with _at_work(folder), contextlib.redirect_stdout(io.StringIO()):
      # Out of sight: TFDS speaks of a download of unknown size.
      builder.download_and_prepare(
          download_config=tfds.download.DownloadConfig(try_download_gcs=False))
  except UserError:
    raise
  except (OSError, RuntimeError, ValueError) as error:  # array_record: the latter two
    if folder.exists():                                # another process was faster
      return
    reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())[:120]
    raise UserError(f'{folder} cannot be written: {reason}.\n'
                    'Choose another folder: --config.dataset.data_dir=FOLDER') from error


@contextlib.contextmanager
def _at_work(folder: pathlib.Path) -> Iterator[None]:
  """Tells other processes that this data is being prepared; first deletes what killed ones left.

  All that prepare it share a lock of the kernel on the folder above, which ends with its process.
  Whoever gets it alone knows that nobody is at work on what is begun. Where a file system has no
  such locks, all of that stays.
  """
  folder.parent.mkdir(parents=True, exist_ok=True)
  place = os.open(folder.parent, os.O_RDONLY)
  try:
    with contextlib.suppress(OSError):
      fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
      for begun in folder.parent.glob(f'incomplete.*_{folder.name}'):
        shutil.rmtree(begun, ignore_errors=True)
    with contextlib.suppress(OSError):
      fcntl.flock(place, fcntl.LOCK_SH)
    yield
  finally:
    os.close(place)
