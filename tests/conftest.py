"""Settings of all tests: CPU, and compilation that favours a quick start over quick code."""

import fcntl
import os
import shutil

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


# They take a minute or more: begun first, none of them is left to a single process at the end.
LONGEST = ('test_processes.py', 'test_steps.py', 'test_page.py', 'test_disk.py', 'test_kills.py',
           'test_train.py', 'test_docs.py')


def pytest_collection_modifyitems(items):
  """Whole files, in an order that `--no-loadscope-reorder` keeps."""
  place = {name: number for number, name in enumerate(LONGEST)}
  items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(autouse=True, scope='module')
def memory_is_given_back():
  """What a file compiled: gigabytes, over all files."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='session')
def once(tmp_path_factory):
  """once(name, make): a folder that make(folder) fills, in one of the processes of the tests."""
  place = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    place = place.parent                                 # of all of them

  def made(name, make):
    folder = place / name
    with (place / f'{name}.lock').open('a') as mark:
      fcntl.flock(mark, fcntl.LOCK_EX)
      if not os.fstat(mark.fileno()).st_size:            # tell() would be of when it was opened
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)
        mark.write('made')
    return folder
  return made


@pytest.fixture(scope='session')
def tiny_run(once):
  """Work directory of a finished toy run of 20 steps; only to be read."""
  from cvq import train
  from tests import tiny
  return once('tiny', lambda folder: train.train(tiny.get_config(), str(folder)))


@pytest.fixture(scope='session')
def tiny_model(tiny_run):
  """The API's model of that run."""
  import cvq
  return cvq.load(tiny_run)
