"""Command line: python -m cvq.main --config=configs/dsprites.py[:PRESET] [--mode=...].

Trains, evaluates what was trained, reports on it, serves a page of it, or shows the data. Examples:
  python -m cvq.main --config=configs/dsprites.py
  python -m cvq.main --config=configs/dsprites.py:smoke --workdir=runs/first
  python -m cvq.main --config=configs/dsprites.py --config.train.batch_size=32 --workdir=runs/b32
  python -m cvq.main --config=configs/dsprites.py --mode=evaluate
  python -m cvq.main --config=configs/dsprites.py --mode=report --compare=runs/b32
  python -m cvq.main --config=configs/dsprites.py --mode=serve --port=8000
  python -m cvq.main --config=configs/shapes3d.py --mode=data
"""

import errno
import os
import shlex
import signal
import sys
from typing import Callable

from cvq import memory

if __name__ == '__main__':
  memory.keep()                                 # before imports that it would do twice

from absl import logging  # noqa: E402

from cvq import arguments, config as configuration  # noqa: E402
from cvq.errors import Unwritable, UserError  # noqa: E402


def main(argv: list[str]) -> None:
  """Runs what the command line asks for. Raises UserError."""
  config, workdir, mode, compare, host, port = arguments.parse(argv, usage=__doc__)
  configuration.validate(config)
  if mode == 'data':
    from cvq import survey
    survey.survey(config, workdir)
    return
  if mode == 'report' and config.method != 'ct_vae':
    raise UserError(f'--mode=report reports on our model; this config is a baseline '
                    f'({config.method}).\nIts figures are in {workdir}/evaluation.json; '
                    'python -m cvq.sweep puts them into tables.')
  from cvq import compilation, evaluate, parallel, train     # JAX takes seconds; not needed above
  parallel.start()
  compilation.keep(config.dataset.data_dir)
  if mode == 'serve':
    from cvq import serve
    serve.serve(config, workdir, host=host, port=port)
  elif mode == 'train':
    train.train(config, workdir)
    if parallel.first():
      _say_what_next(argv, workdir, reports=config.method == 'ct_vae')
  elif mode == 'evaluate':
    evaluate.evaluate(config, workdir)
  else:
    from cvq.report import collect               # scikit-learn and jinja2 take seconds more
    collect.write_report(config, workdir, compare=compare)


def _say_what_next(argv: list[str], workdir: str, *, reports: bool) -> None:
  print(f'\nEverything is in {workdir}: evaluation.json, metrics.jsonl, pictures/, checkpoints/.')
  if reports:
    command = os.environ.get('CVQ_COMMAND', 'python -m cvq.main')       # of launch/local.sh
    print(f'Next, a report on it: {command} {shlex.join(argv[1:])} --mode=report')
  print('Its curves: pip install tensorboard; '
        f'tensorboard --logdir={workdir}/tensorboard')


def run(main: Callable[[list[str]], None] = main) -> None:
  """Entry point: messages instead of tracebacks for what a user can mend."""
  logging.set_verbosity(logging.FATAL)          # what Orbax and TFDS fail at, they also raise
  # A shell starts what runs in its background deaf to Ctrl-C; launch/run.sh passes it on.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    main(sys.argv)
  except Unwritable as error:
    _leave_at_once(str(error), error.code)
  except UserError as error:
    _leave(str(error), error.code)
  except KeyboardInterrupt:                     # while training, cvq.train saves first
    _leave('Stopped by SIGINT; the same command starts again.', 128 + signal.SIGINT)
  except (MemoryError, RuntimeError) as error:  # JAX's is a RuntimeError
    if not (isinstance(error, MemoryError) or 'RESOURCE_EXHAUSTED' in str(error)):
      raise
    _leave(f'Out of memory: {" ".join(str(error).split())[:150]}\nMake the model or its batches '
           'smaller: --config.train.batch_size, --config.pretrain.batch_size, '
           '--config.evaluation.batch_size.', 2)
  except OSError as error:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
      raise
    _leave_at_once(f'{error}.\nMake room; the same command goes on from the last checkpoint.', 2)


def _leave(message: str, code: int) -> None:
  print(f'cvq: {message}', file=sys.stderr)
  sys.exit(code)


def _leave_at_once(message: str, code: int) -> None:
  """On a full disk, what else would be written at the end would only add tracebacks."""
  print(f'cvq: {message}', file=sys.stderr)
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)                                # pylint: disable=protected-access


if __name__ == '__main__':
  run()
