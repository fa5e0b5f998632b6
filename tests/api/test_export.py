"""A model written out and read back: StableHLO, safetensors, and its card."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import cvq
from cvq.errors import UserError

pytestmark = pytest.mark.slow

PROGRAM = '''
import sys
import numpy as np
import cvq
model = cvq.load_exported(sys.argv[1])
images = np.load(sys.argv[2])
edited = model.intervene(images, 'posX+1')
np.savez(sys.argv[3], codes=model.encode(images), drawn=model.decode(model.encode(images)),
         images=edited.images, mask=edited.mask, graph=edited.graph, edited=edited.codes,
         posterior=model.retrieve(images, images[::-1]).probabilities)
print(sorted({'flax', 'optax', 'orbax', 'grain', 'ml_collections'} & set(sys.modules)))
'''


@pytest.fixture(scope='module')
def images():
  """[5, 64, 64, 1] floats; five, so that a batch is padded."""
  return np.random.default_rng(0).random((5, 64, 64, 1), np.float32)


@pytest.fixture(scope='module')
def exported(tiny_model, tmp_path_factory):
  """Directory of the exported toy model."""
  path = tmp_path_factory.mktemp('export') / 'model'
  tiny_model.export(path)
  return path


def test_exported_model_answers_alike_without_training_code(
    tiny_model, exported, images, tmp_path):
  np.save(tmp_path / 'images.npy', images)
  done = subprocess.run(
      [sys.executable, '-c', PROGRAM, exported, tmp_path / 'images.npy', tmp_path / 'out.npz'],
      capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == '[]', 'training code was imported'
  out = np.load(tmp_path / 'out.npz')
  edited = tiny_model.intervene(images, 'posX+1')
  codes = tiny_model.encode(images)
  np.testing.assert_array_equal(out['codes'], codes)
  np.testing.assert_array_equal(out['edited'], edited.codes)
  for name, expected in [
      ('drawn', tiny_model.decode(codes)), ('images', edited.images), ('mask', edited.mask),
      ('graph', edited.graph),
      ('posterior', tiny_model.retrieve(images, images[::-1]).probabilities)]:
    np.testing.assert_allclose(out[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_exported_model_knows_its_names_and_checks_its_images(tiny_model, exported, images):
  model = cvq.load_exported(exported)
  assert model.facts == tiny_model.facts
  assert repr(model) == repr(tiny_model).replace('Model', 'Exported')
  assert model.encode(images[:0]).shape == (0, model.facts.variables)
  with pytest.raises(UserError, match=r'\[n, 64, 64, 1\]'):
    model.encode(images[:, :32])
  files = {path.name for path in exported.iterdir()}
  assert files == {'model.json', 'weights.npz', 'encode.stablehlo', 'decode.stablehlo',
                   'intervene.stablehlo', 'retrieve.stablehlo'}
  assert not list(exported.parent.glob('*.partial'))


def test_export_overwrites_nothing_and_damage_is_met(tiny_model, exported, tmp_path):
  with pytest.raises(UserError, match='exists'):
    tiny_model.export(exported)
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='cannot be written'):
    tiny_model.export(tmp_path / 'file' / 'model')
  with pytest.raises(UserError, match='no exported model'):
    cvq.load_exported(tmp_path)
  for name in ('encode.stablehlo', 'weights.npz', 'model.json'):
    broken = tmp_path / name.replace('.', '-')
    shutil.copytree(exported, broken)
    (broken / name).write_bytes((broken / name).read_bytes()[:50])
    with pytest.raises(UserError, match='no exported model'):
      cvq.load_exported(broken)


def test_safetensors_give_the_same_model(tiny_model, images, tmp_path):
  path = tmp_path / 'model.safetensors'
  tiny_model.save_safetensors(path)
  model = cvq.load(path)
  assert repr(model) == repr(tiny_model) and model.config == tiny_model.config
  np.testing.assert_array_equal(model.encode(images), tiny_model.encode(images))
  np.testing.assert_array_equal(
      model.intervene(images, 3).images, tiny_model.intervene(images, 3).images)
  assert model.card() == tiny_model.card()
  with safetensors.safe_open(path, framework='numpy') as file:
    metadata, names = file.metadata(), set(file.keys())
  assert json.loads(metadata['model'])['action_names'] == list(tiny_model.action_names)
  assert json.loads(metadata['config'])['train']['steps'] == 8
  assert 'params/quantizer/codebook' in names
  # And once more from what was read.
  model.save_safetensors(tmp_path / 'again.safetensors')
  assert (tmp_path / 'again.safetensors').stat().st_size == path.stat().st_size
  with pytest.raises(UserError, match='holds one step'):
    cvq.load(path, step=5)


def test_files_that_are_no_such_model_are_refused(tiny_model, tmp_path):
  path = tmp_path / 'model.safetensors'
  tiny_model.save_safetensors(path)
  whole = path.read_bytes()
  path.write_bytes(whole[:len(whole) // 2])
  with pytest.raises(UserError, match='damaged'):
    cvq.load(path)
  safetensors.numpy.save_file({'x': np.zeros(3)}, path)
  with pytest.raises(UserError, match='not written by'):
    cvq.load(path)
  path.write_bytes(whole)
  with safetensors.safe_open(path, framework='numpy') as file:
    metadata = file.metadata()
    arrays = {name: file.get_tensor(name) for name in file.keys()}
  arrays['params/quantizer/codebook'] = np.zeros((4, 7, 2), np.float32)
  safetensors.numpy.save_file(arrays, path, metadata)
  with pytest.raises(UserError, match='params/quantizer/codebook is .*4, 7, 2'):
    cvq.load(path)
  with pytest.raises(UserError, match='must end in .safetensors'):
    tiny_model.save_safetensors(tmp_path / 'model.bin')
  with pytest.raises(UserError, match='cannot be written'):
    tiny_model.save_safetensors(tmp_path / 'missing' / 'model.safetensors')


def test_card_tells_what_the_evaluation_found(tiny_run, tiny_model):
  card = tiny_model.card()
  evaluation = json.loads((tiny_run / 'evaluation.json').read_text())
  assert card.startswith('---\nlicense: apache-2.0\n')
  for part in ('# cvq on dsprites (rendered)', 'seed 0', '20 gradient steps', '## Limitations',
               f'| {evaluation["retrieval"]["directed"]:.3f} |', 'orientation-1', 'Apache 2.0',
               f'{evaluation["intervention"]["copy_mse"]:.4f}'):
    assert part in card, part
  assert '{' not in card.replace('{}', '') and max(map(len, card.splitlines())) < 200
  with pytest.raises(UserError, match='of step 15, its evaluation.json of step 20'):
    cvq.load(tiny_run, step=15).card()


def test_card_without_evaluation_says_what_to_do(tiny_run, tmp_path):
  shutil.copytree(tiny_run, tmp_path / 'run')
  (tmp_path / 'run' / 'evaluation.json').unlink()
  with pytest.raises(UserError, match='--mode=evaluate'):
    cvq.load(tmp_path / 'run').card()
