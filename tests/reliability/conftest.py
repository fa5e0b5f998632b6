"""Short forms stand in the suite; CVQ_LONG_TESTS=1 asks for the long ones, which take minutes."""

import os
import shutil

import jax
import pytest

LONG = os.environ.get('CVQ_LONG_TESTS') == '1'


@pytest.fixture(name='long', scope='session')
def fixture_long() -> bool:
  """Whether the long form is asked for."""
  return LONG


@pytest.fixture(name='cache')
def fixture_cache(tmp_path):
  """What the tests have compiled already, in a folder of its own: a kill may leave half a file."""
  return shutil.copytree(jax.config.jax_compilation_cache_dir, tmp_path / 'compiled')


def pytest_report_header() -> str:
  return f'reliability: {"long" if LONG else "short"} form (CVQ_LONG_TESTS=1 for the long one)'
