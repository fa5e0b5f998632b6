"""The flags of `cvq.main`, and what is said of those that cannot be taken. Imports no JAX."""

from __future__ import annotations

import difflib
import os
import re
import sys
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict, config_flags

from cvq.config import leaves
from cvq.errors import UserError

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'Experiment: a file of configs/, with an optional preset after a colon. '
    'Any field follows as --config.FIELD=VALUE.', lock_config=True)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where the run lives; default runs/NAME or runs/NAME-PRESET. The same '
    'command again goes on where it stopped.')
_MODE = flags.DEFINE_enum('mode', 'train', ['train', 'evaluate', 'report', 'serve', 'data'],
                          'train (ends with an evaluation), evaluate the newest checkpoint, '
                          'report on it (WORKDIR/report.html), serve an interactive page of it, '
                          'or data: numbers and pictures of the dataset.')
_COMPARE = flags.DEFINE_list(
    'compare', [], 'With --mode=report: other work directories, DIR1,DIR2,..., side by side.')
_HOST = flags.DEFINE_string(
    'host', '127.0.0.1', 'With --mode=serve: name or address to listen on; the default is reached '
    'from this machine alone.')
_PORT = flags.DEFINE_integer('port', 8000, 'With --mode=serve: the port; 0 takes a free one.',
                             lower_bound=0, upper_bound=65535)


class Arguments(NamedTuple):
  """What a command line asks for; `workdir` is set even where the flag was not."""
  config: Any
  workdir: str
  mode: str
  compare: list[str]
  host: str
  port: int


def parse(argv: list[str], usage: str) -> Arguments:
  """Parses a command line; with --help prints `usage` and the flags, and leaves.

  Raises:
    UserError: for every failure, in one to three lines.
  """
  if any(argument in ('--help', '-h', '-help') for argument in argv[1:]):
    print(f'{usage}\nFlags:')
    for flag in (_CONFIG, _WORKDIR, _MODE, _COMPARE, _HOST, _PORT):
      print(f'  --{flag.name}: {flags.FLAGS[flag.name].help}')
    sys.exit(0)
  paths = [value.partition(':')[0] for value in _config_values(argv)]
  for path in paths:
    if not os.path.isfile(path):                          # absl would only fail when it is used
      raise UserError(f'--config={path}: no such file.{_known_files()}')
  try:
    rest = flags.FLAGS(argv)
  except SyntaxError as error:
    raise UserError(f'--config={paths[-1]}: {error.msg} ({error.filename}, line {error.lineno}).'
                    ) from error
  except UserError:
    raise
  except Exception as error:  # pylint: disable=broad-except    # a config may raise any
    raise UserError(_explain(argv, error)) from error
  if len(rest) > 1:
    raise UserError(f'Unknown argument {rest[1]!r}; flags start with --, see --help.')
  if not paths:
    raise UserError('--config is missing; for example --config=configs/dsprites.py')
  config = _checked(paths[-1], _CONFIG.value)
  workdir = _WORKDIR.value or os.path.join(
      'runs', '-'.join(filter(None, [config.name, config.preset])))
  if _COMPARE.value and _MODE.value != 'report':
    raise UserError('--compare stands in the report; add --mode=report')
  if (_HOST.present or _PORT.present) and _MODE.value != 'serve':
    raise UserError('--host and --port belong to the interactive page; add --mode=serve')
  return Arguments(config, workdir, _MODE.value, _COMPARE.value, _HOST.value, _PORT.value)


def _checked(path: str, config: Any) -> Any:
  """What a config file gives. Raises UserError where that is no config."""
  if isinstance(config, ConfigDict):
    return config
  try:
    reason = f'its get_config gives {type(config).__name__}, and no config'
    getattr(config, 'name', None)
  except OSError as error:                     # of the file itself, which absl keeps until now
    reason = str(error).strip().splitlines()[-1]
  raise UserError(f'--config={path}: {reason}.\nSee configs/dsprites.py for one that is whole.')


def _config_values(argv: list[str]) -> list[str]:
  """What --config is set to, in either spelling; the last counts."""
  values = []
  for argument, following in zip(argv, [*argv[1:], '']):
    flag, equals, value = argument.lstrip('-').partition('=')
    if flag == 'config' and argument.startswith('-'):
      values.append(value if equals else following)
  return values


def _known_files() -> str:
  folder = os.listdir('configs') if os.path.isdir('configs') else []
  known = sorted(f'configs/{file}' for file in folder
                 if file.endswith('.py') and file not in ('__init__.py', 'common.py'))
  return f'\nKnown: {", ".join(known)}; configs/baselines/' if known else ''


def _explain(argv: list[str], error: Exception) -> str:
  """One or two lines on flags that absl refused."""
  if isinstance(error, ModuleNotFoundError) and error.name == 'configs':
    return ('The folder configs/ is not on the path of Python.\nGive the command in the folder '
            'that holds it (that of README.md), or name that folder by PYTHONPATH.')
  missing = isinstance(error, (AttributeError, LookupError))       # says absl of a field
  for argument in argv:
    if argument.startswith('--config.'):
      name = argument.partition('=')[0].removeprefix('--config.')
      about = _about_field(name, str(error) if missing else '')
      if about:
        return about
  message = str(error).splitlines()[0] if str(error) else type(error).__name__
  return f'{message}\nSee --help; configs/common.py lists all fields and their types.'


def _about_field(name: str, missing: str) -> str:
  """What is wrong with a field's name; empty if nothing is.

  missing: what absl says of a field that is not there, which names a part of it, or ''.
  """
  from configs import common                   # lies beside the package, not in it
  known = [field for field, _ in leaves(common.base())]
  inside = [field for field in known if field.startswith(f'{name}.')]
  if inside:
    return (f'--config.{name} is a group of fields.\n'
            f'Set them one by one, for example --config.{inside[0]}=VALUE')
  plain, bracket, index = name.partition('[')
  if not missing or (plain in known and not bracket):
    return ''
  if plain not in known and not set(plain.split('.')) & set(re.findall(r'\w+', missing)):
    return ''                                  # a field of this dataset or baseline alone
  if plain in known:
    return f'--config.{plain} has no element [{index}.\nGive all: --config.{plain}=(...)'
  near = difflib.get_close_matches(name, known, n=2)
  hint = f'Did you mean {" or ".join(near)}?' if near else 'configs/common.py lists all fields.'
  return f'Unknown field --config.{name}.\n{hint}'
