"""Command line: python -m cvq.main --config=configs/dsprites.py[:PRESET] [--mode=...].

Trains, or evaluates what was trained. Examples:
  python -m cvq.main --config=configs/dsprites.py
  python -m cvq.main --config=configs/dsprites.py:smoke --workdir=runs/first
  python -m cvq.main --config=configs/dsprites.py --config.train.batch_size=32 --workdir=runs/b32
  python -m cvq.main --config=configs/dsprites.py --mode=evaluate
"""

import difflib
import os
import sys

from absl import flags, logging
from ml_collections import config_flags

from cvq.errors import UserError

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'Experiment: a file of configs/, with an optional preset after a colon. '
    'Any field follows as --config.FIELD=VALUE.', lock_config=True)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where the run lives; default runs/NAME or runs/NAME-PRESET. The same '
    'command again goes on where it stopped.')
_MODE = flags.DEFINE_enum('mode', 'train', ['train', 'evaluate'],
                          'train (ends with an evaluation) or evaluate the newest checkpoint.')


def parse_flags(argv: list[str]) -> list[str]:
  """absl's flags, with every failure turned into a UserError of one to three lines."""
  if any(argument in ('--help', '-h', '-help') for argument in argv[1:]):
    print(f'{__doc__}\nFlags:')
    for flag in (_CONFIG, _WORKDIR, _MODE):
      print(f'  --{flag.name}: {flags.FLAGS[flag.name].help}')
    sys.exit(0)
  try:
    rest = flags.FLAGS(argv)
    missing = _CONFIG.value is None or not list(_CONFIG.value)     # a bad file fails when used
  except UserError:
    raise
  except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError,
          ImportError) as error:
    raise UserError(_explain(argv, error)) from error
  if len(rest) > 1:
    raise UserError(f'Unknown argument {rest[1]!r}; flags start with --, see --help.')
  if missing:
    raise UserError('--config is missing; for example --config=configs/dsprites.py')
  return rest


def _explain(argv: list[str], error: Exception) -> str:
  """One or two lines on a flag that could not be taken."""
  given = next((a.partition('=')[2].partition(':')[0] for a in argv if a.startswith('--config=')),
               '')
  if given and not os.path.exists(given):
    folder = os.listdir('configs') if os.path.isdir('configs') else []
    known = sorted(f'configs/{f}' for f in folder
                   if f.endswith('.py') and f not in ('__init__.py', 'common.py'))
    return f'--config={given}: no such file.' + (f'\nKnown: {", ".join(known)}' if known else '')
  wrong = _unknown_field(argv)
  if wrong:
    name, near = wrong
    hint = f'Did you mean {" or ".join(near)}?' if near else 'configs/common.py lists all fields.'
    return f'Unknown field --config.{name}.\n{hint}'
  message = str(error).splitlines()[0] if str(error) else type(error).__name__
  return f'{message}\nSee --help; configs/common.py lists all fields and their types.'


def _unknown_field(argv: list[str]) -> tuple[str, list[str]] | None:
  """The first --config.FIELD that the config lacks, and fields with a similar name."""
  from cvq.config import leaves
  config = next((a.partition('=')[2] for a in argv if a.startswith('--config=')), None)
  try:
    known = [name for name, _ in leaves(config_flags.config_path_to_config(config))]
  except AttributeError:
    from configs import common
    known = [name for name, _ in leaves(common.base())]
  for argument in argv:
    name = argument.partition('=')[0].removeprefix('--config.')
    if argument.startswith('--config.') and name not in known and \
        not any(k.startswith(f'{name}[') for k in known):
      return name, difflib.get_close_matches(name, known, n=2)
  return None


def main(_: list[str]) -> None:
  """Runs the mode. Raises UserError."""
  from cvq import config as configuration
  config, mode = _CONFIG.value, _MODE.value
  configuration.validate(config)
  workdir = _WORKDIR.value or os.path.join(
      'runs', '-'.join(filter(None, [config.name, config.preset])))
  from cvq import evaluate, train               # JAX takes seconds; nothing above needs it
  if mode == 'train':
    train.train(config, workdir)
    print(f'\nEverything is in {workdir}: evaluation.json, metrics.jsonl, pictures/, checkpoints/.'
          f'\nNext: tensorboard --logdir={workdir}/tensorboard')
  else:
    evaluate.evaluate(config, workdir)


def run() -> None:
  """Entry point: messages instead of tracebacks for what a user can mend."""
  logging.set_verbosity(logging.ERROR)          # Orbax and TFDS speak of their own affairs
  try:
    main(parse_flags(sys.argv))
  except UserError as error:
    print(f'cvq: {error}', file=sys.stderr)
    sys.exit(error.code)


if __name__ == '__main__':
  run()
