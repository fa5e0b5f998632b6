"""Command lines and values that make no sense end in a UserError, never in a traceback."""

import sys

from absl import flags
import hypothesis
from hypothesis import strategies as st
import jax
import pytest

from configs import dsprites
from cvq import arguments, config as configuration, runs, state, train
from cvq.data import datasets, imbalance, pipeline, splits
from cvq.data.builders.dsprites import SPACE
from cvq.description import Description
from cvq.errors import UserError
from tests.reliability import fuzzing

DEFAULTS = dict(configuration.leaves(dsprites.get_config()))
ABOUT = Description((64, 64, 1), SPACE)
GROUPS = sorted({name.rpartition('.')[0] for name in DEFAULTS} - {''})
WORDS = [
    '', 'nan', 'inf', '-inf', '0', '-0', '-1', '1', '1e400', '1e-400', '9' * 30, '-' + '9' * 30,
    '.5', 'None', 'True', 'no', '()', '(,)', '(1, 2, 3)', '[1, 2]', "('a',)", '(0,)', '{}',
    '[[1]]', '(1e400,)', '__import__("os")', '${HOME}', '%s', '\0', 'é', 'shape=1', 'shape=9-1',
    'posX=²', 'shape=1-2,posX=0-9', 'tfds', 'published', 'compositional', 'a' * 5000]
words = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(sorted({v for c in configuration.CHOICES.values()
                                                    for v in c})),
    st.integers().map(str), st.floats().map(str), st.text(max_size=20),
    st.lists(st.one_of(st.integers(-5, 300), st.floats()), max_size=4).map(
        lambda v: str(tuple(v))))
names = st.one_of(
    st.sampled_from(sorted(DEFAULTS)), st.sampled_from(GROUPS), st.text(max_size=12),
    st.sampled_from(sorted(DEFAULTS)).map(lambda name: f'{name}[0]'),
    st.sampled_from(sorted(DEFAULTS)).map(lambda name: f'{name}.deeper'))
others = st.one_of(
    st.sampled_from(['--config', '--config=', '--workdir', '--mode=train', '--mode=report',
                     '--port=1', '--port=-1', '--host=', '--compare=a,b', '--', '-', '--=',
                     '--config.', '--noconfig', '--config.seed', '--noconfig.seed', '--flagfile=/',
                     '--flagfile=none', '--undefok=x', '--v=9']),
    st.text(max_size=15), words.map(lambda word: f'--mode={word}'),
    words.map(lambda word: f'--port={word}'))
paths = st.one_of(
    *[st.sampled_from([
        'configs/dsprites.py', 'configs/dsprites.py:smoke', 'configs/shapes3d.py:paper',
        'configs/baselines/beta_vae.py', 'configs/baselines/inverse.py:shapes3d'])] * 6,
    st.sampled_from(['', 'configs', 'configs/', 'configs/none.py', 'setup.cfg', 'README.md',
                     'configs/common.py', 'configs/dsprites.py:', '/dev/null', '.', '..', '\0']),
    st.text(max_size=12).map(lambda preset: f'configs/dsprites.py:{preset}'))
integers = st.one_of(st.integers(-3, 40), st.integers(), st.sampled_from(
    [2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**30]))
numbers = st.one_of(integers, st.floats())
BY_TYPE = {int: integers, float: numbers, str: words, bool: st.booleans(),
           tuple: st.lists(st.one_of(numbers, words), max_size=5).map(tuple)}
fields = st.lists(st.tuples(names, words).map('--config.{0[0]}={0[1]}'.format), max_size=3)


def parse(argv):
  """arguments.parse in this process, over and over: absl keeps the flags of the last time."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, 'argv', argv)
    try:
      return arguments.parse(argv, '')
    finally:
      for name in [name for name in flags.FLAGS if name.startswith('config.')]:
        delattr(flags.FLAGS, name)
      flags.FLAGS.unparse_flags()
      for name in ('config', 'workdir', 'mode', 'compare', 'host', 'port'):
        flags.FLAGS[name].unparse()


@pytest.fixture(name='dataset', scope='module')
def fixture_dataset():
  return datasets.load_dataset(dsprites.get_config().dataset)


def check(config, dataset):
  """What a run does before it trains, without computing anything large."""
  configuration.validate(config)
  configuration.validate_devices(config, 1, 1)
  configuration.validate_image_shape(config, (64, 64, 1))
  splits.splitter(dataset.images, config.dataset)
  imbalance.parse_ratios(config.dataset.imbalance, dataset.space)
  state.make_optimizer(config)
  jax.random.key(config.seed)
  rate = state.learning_rate(config)
  joint = config.pretrain.steps + config.train.steps
  for step in (0, config.pretrain.steps, joint, joint + config.train_global.steps):
    float(rate(step))
    train.mode_of(config, step)
  pipeline.open_transitions(dataset.images, config.dataset, 'train').check()


def check_model(config):
  """Building the model: its shapes, computed by nobody."""
  configuration.validate(config)
  runs.abstract_state(config, ABOUT)


def said(error):
  message = str(error)
  assert message and len(message.splitlines()) <= 4 and 'Traceback' not in message, message


@hypothesis.given(paths, fields, st.lists(others, max_size=2))
@fuzzing.cases(100, 1000)
def test_command_lines(dataset, path, fields, more):
  try:
    check(parse(['cvq', f'--config={path}', *fields, *more]).config, dataset)
  except UserError as error:
    said(error)
  except SystemExit as end:
    assert end.code == 0 and any(argument.startswith('-h') or 'help' in argument
                                 for argument in [*fields, *more])


@st.composite
def values(draw):
  """A few fields and values of their types."""
  chosen = draw(st.lists(st.sampled_from(sorted(DEFAULTS)), min_size=1, max_size=3, unique=True))
  return {name: draw(BY_TYPE[type(DEFAULTS[name])]) for name in chosen}


@hypothesis.given(st.sampled_from(['', 'smoke', 'paper']), values())
@fuzzing.cases(60, 1000)
def test_values_of_the_right_type(dataset, preset, changed):
  config = dsprites.get_config(preset)
  try:
    config.update_from_flattened_dict(changed)
  except TypeError:                                    # the command line refuses it already
    return
  try:
    check(config, dataset)
  except UserError as error:
    said(error)


@hypothesis.given(st.sampled_from(['smoke', 'paper']), st.dictionaries(
    st.sampled_from(sorted(name for name, value in DEFAULTS.items()
                           if name.startswith('model.') and type(value) in (int, float, tuple))),
    st.one_of(st.integers(-1, 70), st.floats(-2, 2), st.lists(st.integers(-1, 40), max_size=4)
              .map(tuple)), min_size=1, max_size=3),
    st.fixed_dictionaries({}, optional={
        name: st.sampled_from(known) for name, known in configuration.CHOICES.items()
        if name.startswith('model.')}))
@fuzzing.cases(4, 100)
def test_models_of_any_shape_are_built_or_refused(preset, sizes, choices):
  config = dsprites.get_config(preset)
  try:
    config.update_from_flattened_dict(sizes | choices)
  except TypeError:
    return
  try:
    check_model(config)
  except UserError as error:
    said(error)
