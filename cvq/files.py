"""Files that are written whole or not at all, and JSON that is read back."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
from typing import Any

from cvq.errors import UserError


def partial_of(path: pathlib.Path) -> pathlib.Path:
  """A name beside `path` for what is not whole yet, of its own for every machine and process."""
  return path.with_name(f'{path.name}.{secrets.token_hex(4)}.partial')


def write_bytes(path: str | pathlib.Path, content: bytes) -> None:
  """Writes a file under another name first, so that no reader and no crash meets half of it.

  A power cut neither: the content is on the disk before it gets its name.
  """
  path = pathlib.Path(path)
  partial = partial_of(path)
  try:
    with open(partial, 'wb') as file:                  # with the rights of any other file
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    os.replace(partial, path)
  except OSError:
    partial.unlink(missing_ok=True)
    raise


def write_text(path: str | pathlib.Path, text: str) -> None:
  """Writes UTF-8; see `write_bytes`."""
  write_bytes(path, text.encode())


def write_json(path: str | pathlib.Path, value: Any) -> None:
  """Writes a value as indented JSON; see `write_bytes`."""
  write_text(path, json.dumps(value, indent=2) + '\n')


def read_json(path: str | pathlib.Path, remedy: str) -> Any:
  """What a JSON file holds. Raises UserError, with a remedy, if it is damaged."""
  try:
    return json.loads(pathlib.Path(path).read_text())
  except ValueError as error:
    raise UserError(f'{path} is damaged ({error}).\n{remedy}') from error
