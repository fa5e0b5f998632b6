"""Leaves out what says nothing of a checkpoint: errors that are raised to who waits for them.

A full disk would otherwise end in hundreds of lines of tracebacks before the one message.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from typing import Any, Callable


@functools.cache
def about_checkpoints() -> None:
  """From here on, in this process."""
  logging.getLogger('absl').addFilter(_is_of_others)
  sys.unraisablehook = functools.partial(_unless_loop_is_closed, sys.unraisablehook)


def _is_of_others(record: logging.LogRecord) -> bool:
  """Orbax logs an error in each thread that meets it, with a traceback; and that a checkpoint has
  no figure to be chosen by, as all have that are saved between two validations."""
  known = record.exc_info or 'did not provide metrics' in str(record.msg)
  return not (known and f'{os.sep}orbax{os.sep}' in record.pathname)


def _unless_loop_is_closed(before: Callable[[Any], None], met: Any) -> None:
  """Tensorstore tells of arrays to an event loop that the first error has ended."""
  if met.exc_type is not RuntimeError or str(met.exc_value) != 'Event loop is closed':
    before(met)
