"""Keeps compiled programs between starts: the second one trains within seconds."""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform
import zlib

import jax

from cvq import files
from cvq.data import datasets

_CPU = pathlib.Path('/proc/cpuinfo')
_ZLIB = b'\x78'                  # first byte of what JAX compresses by zlib


def keep(data_dir: str) -> pathlib.Path | None:
  """Lets JAX store what it compiles, and find it again.

  What a kill left half written is deleted first. JAX_COMPILATION_CACHE_DIR names another place, in
  which nothing is deleted.

  Args:
    data_dir: as in the config; programs lie in its folder `compiled`.

  Returns:
    Where they lie; None where that can't be written, so that nothing is kept.
  """
  if jax.config.jax_compilation_cache_dir:
    return pathlib.Path(jax.config.jax_compilation_cache_dir)
  folder = datasets.data_directory(data_dir) / 'compiled' / machine()
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError:
    return None
  if not os.access(folder, os.W_OK):                   # of someone else; JAX would warn each time
    return None
  drop_half_written(folder)
  jax.config.update('jax_compilation_cache_dir', str(folder))
  return folder


def drop_half_written(folder: pathlib.Path) -> None:
  """Deletes programs that are not whole: JAX writes them in place, and would warn at every start.

  One that another process is about to write is deleted as well; it is compiled once more then. What
  JAX compresses otherwise than by zlib (zstd, from Python 3.14 on) stays.

  Args:
    folder: of programs; its file `whole` lists those that were looked at, with their sizes.
  """
  listed = folder / 'whole'
  try:
    known = set(listed.read_text().splitlines()) if listed.exists() else set()
    whole = set()
    for path in folder.glob('*-cache'):
      line = f'{path.name} {path.stat().st_size}'
      if line in known or _is_whole(path.read_bytes()):
        whole.add(line)
      else:
        path.unlink(missing_ok=True)
    if whole != known:
      files.write_text(listed, ''.join(f'{line}\n' for line in sorted(whole)))
  except OSError:
    pass                          # only readable, or another process was faster: next time, then


def _is_whole(content: bytes) -> bool:
  if not content.startswith(_ZLIB):
    return bool(content)
  stream = zlib.decompressobj()
  try:
    stream.decompress(content)
  except zlib.error:
    return False
  return stream.eof               # the checksum at its end was right


def machine() -> str:
  """A short name of the processor: programs for one need not run on another, and the folder may
  be shared by several."""
  lines = _CPU.read_text().splitlines() if _CPU.exists() else []
  said = {line for line in lines if line.startswith(('model name', 'flags', 'Features'))}
  text = '\n'.join([platform.machine(), platform.processor(), *sorted(said)])
  return f'{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}'
