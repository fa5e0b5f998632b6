"""Listens: from a work directory to a page in the browser, until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import pathlib
import signal
import socket
import threading
from typing import Any

import numpy as np

from cvq import stored_config
from cvq.api.model import load
from cvq.errors import UserError

_THREADS = 4                   # they wait for the one computation; more would wait longer


def serve(config: Any, workdir: str, *, host: str = '127.0.0.1', port: int = 8000) -> None:
  """Serves the page of a run until SIGINT (Ctrl-C) or SIGTERM.

  Args:
    config: whose dataset is that of the run, by which its test images are known. workdir: of the
      run.
    host: name or address to listen on. port: 0 to 65535; 0 takes a free one.

  Raises:
    UserError: the extra is missing, the address can't be had, no run or checkpoint there, or one on
      another dataset or split.
  """
  for library in ('flask', 'waitress'):
    if importlib.util.find_spec(library) is None:
      raise UserError(f"The page needs {library}: pip install -e '.[serve]' -c constraints.txt\n"
                      'Then repeat the command.')
  import waitress                                      # an extra
  from cvq.serve import app, examples
  with contextlib.closing(listen(host, port)) as listener:  # what fails at once, before the model
    # Which images are of the test split depends on the dataset's fields alone.
    stored_config.check(
        workdir, config, but=tuple(name for name in config if name != 'dataset'))
    model = load(workdir)
    found, reason = examples.open_examples(model, config)
    print(f'{model!r}\nCompiling ...', flush=True)
    model.intervene(np.zeros(model.facts.image_shape, np.uint8), 0)
    application = app.make_app(
        model, found, name=pathlib.Path(workdir).absolute().name, no_examples=reason,
        hosts=(host,))
    server = waitress.create_server(
        application, sockets=[listener], threads=_THREADS, connection_limit=64, ident='cvq',
        max_request_body_size=app.MAX_BODY, max_request_header_size=2**15,
        # Bodies and answers stay in memory; waitress would put larger ones into files.
        inbuf_overflow=2 * app.MAX_BODY, outbuf_overflow=2 * app.MAX_BODY)
    print(f'{address(listener)}  Ctrl-C ends it.', flush=True)
    if threading.current_thread() is threading.main_thread():
      # Also where a script in the background handed SIGINT down as ignored.
      for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    server.run()                                       # returns on KeyboardInterrupt
    print('\nEnded.')


def listen(host: str, port: int) -> socket.socket:
  """A listening socket. Raises UserError, with a remedy, where there can be none."""
  try:
    family, _, _, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(where[:2], family=family)
  except (OSError, UnicodeError) as error:             # the latter: a name that can be none
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
      raise UserError(f'Port {port} of {host} is in use.\n'
                      f'Choose another: --port={port + 1 if port < 65535 else 8000}') from error
    if isinstance(error, OSError) and error.errno == errno.EACCES:
      raise UserError(f'Port {port} is reserved for the system.\nChoose one above 1023: '
                      '--port=8000') from error
    raise UserError(f'--host={host}, --port={port}: cannot listen there ({error}).\n'
                    'Without --host it is 127.0.0.1.') from error


def address(listener: socket.socket) -> str:
  """Where a browser on this machine finds it."""
  host, port = listener.getsockname()[:2]
  host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host)
  return f'http://[{host}]:{port}/' if ':' in host else f'http://{host}:{port}/'
