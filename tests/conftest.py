"""Settings of all tests: CPU, and compilation that favours a quick start over quick code."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# As in cvq.evaluation.disentanglement, for tests that import scikit-learn first.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

import jax  # noqa: E402
import pytest  # noqa: E402

from cvq import compilation  # noqa: E402

jax.config.update('jax_disable_most_optimizations', True)
# The toy models recur in many files and are compiled once, for the next run of the tests too.
compilation.keep('')
jax.config.update('jax_persistent_cache_min_compile_time_secs', .3)


@pytest.fixture(autouse=True, scope='module')
def memory_is_given_back():
  """What a file compiled: gigabytes, over all files."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory):
  """Work directory of a finished toy run of 20 steps."""
  from cvq import train
  from tests import tiny
  workdir = tmp_path_factory.mktemp('runs') / 'tiny'
  train.train(tiny.get_config(), str(workdir))
  return workdir


@pytest.fixture(scope='session')
def tiny_model(tiny_run):
  """The API's model of that run."""
  import cvq
  return cvq.load(tiny_run)
