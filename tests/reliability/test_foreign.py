"""What comes from someone else is read and never run: the source says so, and hostile files try."""

import ast
import dataclasses
import json
import pathlib
import pickle
import shutil

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import safetensors
import safetensors.numpy

import cvq
from cvq import description, runs
from cvq.api import exported
from cvq.errors import UserError
from tests.reliability import fuzzing

PACKAGE = pathlib.Path(cvq.__file__).parent
FORBIDDEN_MODULES = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'joblib', 'shelve', 'marshal',
                     'yaml', 'runpy', 'code', 'codeop', 'imp'}
FORBIDDEN_NAMES = {'eval', 'exec', 'compile', '__import__'}
FORBIDDEN_METHODS = {'extractall', 'unpack_archive', 'popen', 'load_module', 'exec_module',
                     'read_pickle'}
# By whose arguments a module is imported or a program started: all of ours.
IMPORTS = {'runs.py', 'data/datasets.py', 'sweep/__main__.py'}
STARTS = {'report/provenance.py', 'sweep/run.py'}


def findings(source: str, path: str) -> list[str]:
  """Calls and imports that could run what a file says."""
  found = []
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      names = [alias.name for alias in node.names] + [getattr(node, 'module', None) or '']
      found += [f'{path}:{node.lineno} import {name}' for name in names
                if name.partition('.')[0] in FORBIDDEN_MODULES]
      if 'subprocess' in names and path not in STARTS:
        found.append(f'{path}:{node.lineno} import subprocess')
    if not isinstance(node, ast.Call):
      continue
    name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
    plain = isinstance(node.func, ast.Name)
    owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ''
    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    bad = (plain and name in FORBIDDEN_NAMES or name in FORBIDDEN_METHODS
           or owner == 'os' and name == 'system'
           or owner == 'np' and name == 'load' and arguments.get('allow_pickle') != 'False'
           or arguments.get('allow_pickle') == 'True' or arguments.get('shell') == 'True'
           or name == 'extract' and owner in ('tar', 'zip', 'file', 'archive')
           or name == 'import_module' and path not in IMPORTS)
    if bad:
      found.append(f'{path}:{node.lineno} {ast.unparse(node)[:60]}')
  return found


def test_nothing_in_the_package_could_run_a_file():
  found = [line for path in sorted(PACKAGE.rglob('*.py'))
           for line in findings(path.read_text(), str(path.relative_to(PACKAGE)))]
  assert found == []


@pytest.mark.parametrize('source', [
    'import pickle', 'from joblib import load', 'import yaml', 'eval(text)', 'exec(text)',
    'np.load(path)', 'np.load(path, allow_pickle=True)', 'tar.extractall(folder)',
    'shutil.unpack_archive(path)', 'os.system(text)', 'import subprocess',
    'subprocess.run(text, shell=True)', 'importlib.import_module(text)', '__import__(text)'])
def test_the_scan_finds_what_it_must(source):
  assert findings(source, 'some.py')


class Malice:
  """Unpickled, it leaves a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


@pytest.fixture(name='run')
def fixture_run(tiny_run, tmp_path):
  return shutil.copytree(tiny_run, tmp_path / 'run')


@pytest.fixture(name='trap')
def fixture_trap(tmp_path):
  """Where a pickle leaves a file, and the pickle, which nothing may load."""
  trap = tmp_path / 'ran'
  content = pickle.dumps(Malice(trap))
  pickle.loads(content)
  assert trap.exists()                                 # the trap works
  trap.unlink()
  yield trap, content
  assert not trap.exists()


def test_pickles_in_the_place_of_weights_and_states(run, trap, tmp_path):
  _, content = trap
  (tmp_path / 'model.safetensors').write_bytes(content)
  with pytest.raises(UserError, match='damaged, or no safetensors'):
    cvq.load(tmp_path / 'model.safetensors')
  for path in (run / 'checkpoints').rglob('*'):
    if path.is_file():
      path.write_bytes(content)
  with pytest.raises(UserError):
    cvq.load(run)


@pytest.mark.parametrize('part, why', [
    ('weights.npz', 'contains pickled'), ('an array', 'Object arrays cannot'),
    ('a module', 'unpack')])
def test_pickles_in_an_exported_model(tiny_model, trap, tmp_path, part, why):
  """Each is met: all that is read before it is as it should be."""
  facts = {'format': exported.FORMAT, **dataclasses.asdict(tiny_model.facts)}
  (tmp_path / 'model.json').write_text(json.dumps(facts))
  arrays = np.asarray([Malice(trap[0])], object) if part == 'an array' else np.zeros(3)
  np.savez(tmp_path / 'weights.npz', w=arrays, allow_pickle=True)
  if part == 'weights.npz':
    (tmp_path / part).write_bytes(trap[1])
  for name in exported.FUNCTIONS:
    (tmp_path / f'{name}.stablehlo').write_bytes(trap[1])
  with pytest.raises(UserError, match=f'holds no exported model: .*{why}'):
    cvq.load_exported(tmp_path)


@pytest.mark.parametrize('name', ['os', 'tables', 'common', 'baselines.common', '..cvq.main', '',
                                  '__init__', 'dsprites.__init__', 'a/b', 5, None, ['dsprites']])
def test_no_module_is_imported_by_the_name_in_a_config(run, name):
  fields = json.loads((run / 'config.json').read_text())
  fields['dataset']['name'] = name
  (run / 'config.json').write_text(json.dumps(fields))
  with pytest.raises(UserError, match='dataset.name|does not fit'):
    cvq.load(run)


# What json.loads may return.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3), max_leaves=6)


def mutate(value, data):
  """One part of nested JSON becomes something else, goes, or comes besides."""
  if isinstance(value, (dict, list)) and value and data.draw(st.integers(0, 5)):
    keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    key = data.draw(st.sampled_from(keys))
    copy = value.copy()
    copy[key] = mutate(value[key], data)
    return copy
  if isinstance(value, dict) and data.draw(st.booleans()):
    return value | {data.draw(st.text(max_size=8)): data.draw(anything)}
  return data.draw(anything)


@hypothesis.given(st.data())
@fuzzing.cases(100, 1000)
def test_json_of_any_content(tiny_run, tmp_path_factory, data):
  folder = tmp_path_factory.mktemp('json')
  fields, about = (json.loads((tiny_run / name).read_text())
                   for name in ('config.json', 'model.json'))
  try:
    runs.to_config(mutate(fields, data))
  except UserError as error:
    assert len(str(error).splitlines()) <= 4
  (folder / 'model.json').write_text(json.dumps(mutate(about, data)))
  try:
    description.read(str(folder))
  except UserError as error:
    assert 'model.json is damaged' in str(error)
  shutil.rmtree(folder)


@pytest.mark.parametrize('metadata', [
    {}, {'format': 'other'}, {'config': '{'}, {'config': '[]'}, {'config': 'null'},
    {'model': '{}'}, {'model': '[1]'}, {'step': 'many'}, {'evaluation': '{'}])
def test_metadata_of_any_content(tiny_model, tmp_path, metadata):
  path = tmp_path / 'model.safetensors'
  tiny_model.save_safetensors(path)
  with safetensors.safe_open(path, framework='numpy') as file:
    old, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
  path.write_bytes(safetensors.numpy.save(arrays, old | metadata if metadata else {}))
  with pytest.raises(UserError, match='model.safetensors|config'):
    cvq.load(path)
