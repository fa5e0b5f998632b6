"""A work directory belongs to one run at a time, and is the same one for all its processes.

The lock is the kernel's (flock) and not a file that says who has it: it ends with the process that
holds it, however that ends, so that a dead run never has to be told from a slow one. What the file
says is for the message alone. On a file system without flock a run goes on unlocked, and says so.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import secrets
import socket
import sys
import time
from typing import Any, Iterator, TextIO

from cvq import files, parallel, stored_config
from cvq.config import leaves
from cvq.errors import UserError

_HELD = (errno.EAGAIN, errno.EACCES)
_SEEN = 10.                     # seconds until a network file system must show a new file


@contextlib.contextmanager
def hold(workdir: str) -> Iterator[None]:
  """Keeps other runs out of a work directory; every process of a run must call it.

  Args:
    workdir: exists and can be written.

  Raises:
    UserError: another run works in it.
  """
  problem, file = '', None
  if parallel.first():
    try:
      file = _lock(pathlib.Path(workdir))
    except UserError as error:
      problem = str(error)
  problem = parallel.text_from_first(problem)
  if problem:
    raise UserError(problem)
  try:
    yield
  finally:
    if file is not None:
      file.close()                # gives the lock up; the file stays, since others may have it open


def _lock(workdir: pathlib.Path) -> TextIO:
  path = workdir / '.lock'
  file = path.open('a+')
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    if error.errno not in _HELD:
      print(f'{path} cannot be locked ({error.strerror}): see that no other run works in '
            f'{workdir}.', file=sys.stderr, flush=True)
      return file
    file.seek(0)
    owner = file.read()
    file.close()
    raise UserError(f'{workdir} is in use: {_describe(owner)} trains in it.\nWait for it, stop '
                    'it, or choose another --workdir.') from error
  file.truncate(0)
  now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
  file.write(json.dumps({'pid': os.getpid(), 'host': socket.gethostname(), 'since': now}) + '\n')
  file.flush()
  return file


def _describe(owner: str) -> str:
  try:
    fields = json.loads(owner)
    return f'process {fields["pid"]} on {fields["host"]} (since {fields["since"]})'
  except (ValueError, KeyError, TypeError):              # it has just been taken
    return 'another process'


def check_shared(workdir: str, config: Any) -> None:
  """Checks that all processes have one work directory and one config; each must call it.

  Process 0 leaves a file of random name there that the others have to find: equal paths prove
  nothing on disks of their own, and there a restart in another order would begin again.

  Raises:
    UserError: in every process, naming those that differ.
  """
  if parallel.process()[1] == 1:
    return
  name, _, of_first = parallel.text_from_first(
      f'.shared-{secrets.token_hex(8)}\n{_fields(config)}').partition('\n')
  token = pathlib.Path(workdir) / name
  try:
    if parallel.first():
      files.write_text(token, '')
    parallel.everywhere(True)                            # it is there
    same_place = parallel.everywhere(_appears(token))
    same_config = parallel.everywhere(of_first == _fields(config))
  finally:
    if parallel.first():
      token.unlink(missing_ok=True)
  if not all(same_place):
    raise UserError(
        f'--workdir={workdir} is not one directory for all: process {_numbers(same_place)} does '
        'not see what process 0 writes there.\nGive a directory on a file system that all machines '
        'share, by the same path, to every process.')
  if not all(same_config):
    raise UserError(f'Process {_numbers(same_config)} was given another config than process 0.\n'
                    'Start every process with the same --config and fields.')


def _fields(config: Any) -> str:
  """The config without what may differ between machines."""
  return json.dumps({name: value for name, value in leaves(stored_config.to_json(config))
                     if name not in stored_config.MAY_DIFFER}, sort_keys=True)


def _appears(path: pathlib.Path) -> bool:
  deadline = time.monotonic() + _SEEN
  while not path.exists():
    if time.monotonic() > deadline:
      return False
    time.sleep(.1)
  return True


def _numbers(agrees: list[bool]) -> str:
  return ', '.join(str(i) for i, value in enumerate(agrees) if not value)
