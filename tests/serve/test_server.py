"""Before and around serving: where to listen, what to say when that fails, the end."""

import contextlib
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import types
import urllib.request

import numpy as np
import pytest

from configs import dsprites
from cvq import stored_config
from cvq.data import datasets, splits
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.errors import UserError
from cvq.serve import examples, server
from tests import tiny

ROOT = pathlib.Path(__file__).parents[2]


def test_a_port_in_use():
  with contextlib.closing(server.listen('127.0.0.1', 0)) as taken:
    port = taken.getsockname()[1]
    with pytest.raises(UserError, match=f'Port {port} of 127.0.0.1 is in use.\n.*--port='):
      server.listen('127.0.0.1', port)


@pytest.mark.parametrize('host', ['no.such.host.invalid', '203.0.113.7', 'a' * 300])
def test_a_host_that_is_not_ours(host):
  with pytest.raises(UserError, match='cannot listen there'):
    server.listen(host, 0)


def test_only_this_machine_is_reached_by_default():
  with contextlib.closing(server.listen('127.0.0.1', 0)) as listener:
    assert listener.getsockname()[0] == '127.0.0.1'
    assert re.fullmatch(r'http://127\.0\.0\.1:\d+/', server.address(listener))
  with contextlib.closing(server.listen('0.0.0.0', 0)) as listener:
    assert server.address(listener).startswith('http://127.0.0.1:')


def test_a_missing_extra_names_its_command(monkeypatch):
  real = importlib.util.find_spec
  monkeypatch.setattr(importlib.util, 'find_spec',
                      lambda name, *rest: None if name == 'waitress' else real(name, *rest))
  with pytest.raises(UserError, match=r"waitress: pip install -e '\.\[serve\]' -c constraints"):
    server.serve(None, 'nowhere')


def test_the_address_is_known_before_the_model_and_freed_after(tmp_path):
  with pytest.raises(UserError, match='holds no run'):
    server.serve(dsprites.get_config(), str(tmp_path), port=0)
  with contextlib.closing(server.listen('127.0.0.1', 0)) as taken:
    with pytest.raises(UserError, match='in use'):
      server.serve(dsprites.get_config(), str(tmp_path), port=taken.getsockname()[1])


def test_another_config_than_that_of_the_run_is_refused(tmp_path):
  config = dsprites.get_config()
  stored_config.write(str(tmp_path), config)
  config.dataset.split_seed = 1                        # its test images were in training
  with pytest.raises(UserError, match='holds another run: dataset.split_seed: 0 -> 1'):
    server.serve(config, str(tmp_path), port=0)


def test_examples_come_from_the_test_split():
  space = FactorSpace((Factor('wide', 7), Factor('round', 6, 'cyclic')))
  number = np.arange(space.num_images, dtype=np.uint8)        # every image shows its index
  images = ArrayImages(space, np.broadcast_to(number[:, None, None, None], (42, 2, 2, 1)))
  config = dsprites.get_config().dataset
  config.fractions = (.3, .2, .5)
  inside = splits.splitter(images, config)(np.arange(42)) == 2
  found = examples.Examples(images, config)
  lengths = set()
  for _ in range(60):
    assert inside[found.image()[0, 0, 0]]
    x, y, actions = found.pair(3)
    start, target = int(x[0, 0, 0]), int(y[0, 0, 0])
    assert inside[start] and inside[target] and start != target
    index = np.int64(start)
    for action in actions:
      index, valid = space.step(index, np.int64(space.action_names.index(action)))
      assert valid
    assert index == target
    lengths.add(len(actions))
  assert lengths == {1, 3}               # three steps on an even ring end an odd number apart


def test_nothing_is_downloaded(tmp_path):
  config = dsprites.get_config()
  config.dataset.source, config.dataset.data_dir = 'tfds', str(tmp_path)
  model = types.SimpleNamespace(
      open_run=lambda c: types.SimpleNamespace(dataset=datasets.load_dataset(c.dataset)))
  found, reason = examples.open_examples(model, config)
  assert found is None and 'not prepared' in reason and '--mode=data' in reason
  assert not list(tmp_path.iterdir())
  config.dataset.source = 'rendered'                          # no one has to be asked for this
  found, reason = examples.open_examples(model, config)
  assert found.image().shape == (64, 64, 1) and not reason


@pytest.mark.slow
@pytest.mark.parametrize('number, ignored', [
    (signal.SIGINT, signal.SIGINT),      # as what a script starts in the background inherits it
    (signal.SIGTERM, None)])
def test_from_the_command_to_its_end(tiny_run, number, ignored):
  start = ['sh', '-c', f'trap "" {ignored.value}; exec "$@"', 'sh'] if ignored else []
  process = subprocess.Popen(
      [*start, sys.executable, '-m', 'cvq.main', '--config=tests/tiny.py', f'--workdir={tiny_run}',
       '--mode=serve', '--port=0'], cwd=ROOT, text=True, stdout=subprocess.PIPE,
      stderr=subprocess.PIPE, env=os.environ | {'JAX_PLATFORMS': 'cpu'})
  before = sorted(tiny_run.rglob('*'))
  try:
    said = ''
    while not (address := re.search(r'http://127\.0\.0\.1:\d+/', said)):
      line = process.stdout.readline()
      assert line, process.stderr.read()
      said += line
    ask = lambda path, **fields: json.load(urllib.request.urlopen(urllib.request.Request(
        address[0] + path, json.dumps(fields).encode()), timeout=120))
    image = ask('random')['image']
    answer = ask('intervene', image=image, action='posX+1')
    assert answer['moved']['of'] == tiny.get_config().model.quantizer.codebooks * 64
    assert answer['image'] != image
    target = ask('random', steps=1)
    assert target['truth']
    process.send_signal(number)
    rest, problems = process.communicate(timeout=60)
  finally:
    process.kill()
  assert process.returncode == 0, problems
  assert rest.strip().endswith('Ended.') and 'Traceback' not in problems
  assert sorted(tiny_run.rglob('*')) == before
