"""The Python API: what it computes is what the model does, whatever form the images come in."""

import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

import cvq
from cvq import description, evaluate, runs, state as train_state, stored_config
from cvq.api.model import Model
from cvq.errors import UserError
from cvq.models import prediction as pred, quantizer as vq

SHAPE = (64, 64, 1)


@pytest.fixture(scope='module')
def pixels():
  """[17, 64, 64, 1] uint8: rectangles in all greys."""
  rng = np.random.default_rng(0)
  images = np.zeros((17, *SHAPE), np.uint8)
  for image in images:
    (top, left), (height, width) = rng.integers(0, 30, 2), rng.integers(8, 30, 2)
    image[top:top + height, left:left + width] = rng.integers(2, 256)
  return images


@pytest.fixture(scope='module')
def direct(tiny_run):
  """Apply of the module itself, and its model."""
  trained = runs.read_run(str(tiny_run))
  model = runs.build(trained.config, trained.description)
  return model, lambda method, *args, **kwargs: model.apply(
      trained.variables, *args, method=method, **kwargs)


def test_import_alone_loads_no_jax():
  code = ('import cvq, sys; '
          'print(cvq.__version__, sorted({"jax", "flax", "numpy"} & set(sys.modules)))')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.split(maxsplit=1) == [cvq.__version__, '[]\n']
  with pytest.raises(AttributeError, match='no attribute'):
    cvq.lode  # pylint: disable=pointless-statement


def test_package_says_that_it_is_typed():
  import importlib.resources
  assert importlib.resources.files('cvq').joinpath('py.typed').is_file()


@pytest.mark.slow
def test_answers_are_those_of_the_module(tiny_model, direct, pixels):
  model, apply = direct
  x, y = jnp.asarray(pixels[:4] / np.float32(255)), jnp.asarray(pixels[4:8] / np.float32(255))
  qx, qy = apply(model.encode, x), apply(model.encode, y)
  np.testing.assert_array_equal(tiny_model.encode(x), qx.codes)
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
  close(tiny_model.decode(qx.codes),
        apply(model.to_images, vq.look_up(qx.codes, qx.codebook)))
  actions = np.array([3, 0, 9, 3])
  prediction = apply(model.predict, qx, actions[:, None], train=False)
  edited = tiny_model.intervene(x, actions)
  expected = pred.expected_vectors(prediction, qx.codes, qx.vectors, qx.codebook)[:, 0]
  close(edited.images, apply(model.to_images, expected))
  close(edited.mask, prediction.mask[:, 0])
  close(edited.graph, prediction.graph[:, 0])
  np.testing.assert_array_equal(
      edited.codes, pred.probabilities(prediction, qx.codes).argmax(-1)[:, 0])
  every = np.tile(np.arange(10), (4, 1))
  score = lambda a, b: pred.log_probability(
      apply(model.predict, a, every, train=False), a.codes, b.codes[:, None])[:, 0].sum(-1)
  forward, backward = score(qx, qy), score(qy, qx)
  opposite = [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
  posterior = jax.nn.softmax(
      (forward + backward[:, jnp.array(opposite)]) / 2 ** .5 / apply(model.temperature))
  # A score is a sum of 256 terms, up to 1,000 and known to some units of its last place: that is
  # the relative error of its exponential.
  last_place = np.spacing(np.abs(forward).max())
  np.testing.assert_allclose(
      tiny_model.retrieve(x, y).probabilities, posterior, rtol=8 * last_place, atol=1e-5)
  close(tiny_model.transform(x, 'latents'), qx.latents.reshape(4, -1))
  close(tiny_model.transform(x, 'embeddings'),
        vq.look_up(qx.codes, qx.codebook).reshape(4, -1))
  np.testing.assert_array_equal(tiny_model.transform(x), qx.codes)
  whole = apply(model.coordinates, qx)
  np.testing.assert_array_equal(tiny_model.transform(x, 'global_codes'), whole.codes)
  close(tiny_model.transform(x, 'coordinates'), (whole.values - whole.offset) / whole.spacing)


@pytest.mark.parametrize('n', [0, 1, 3, 17])
def test_any_number_of_images_gives_the_same_rows(tiny_model, pixels, n):
  assert tiny_model.facts.largest_batch == 16            # so 17 come in two pieces
  v = tiny_model.facts.variables
  x, y = pixels[:n], pixels[::-1][:n]
  codes = tiny_model.encode(x)
  assert codes.shape == (n, v) and codes.dtype == np.int32
  edited, ranked = tiny_model.intervene(x, 'posX+1'), tiny_model.retrieve(x, y)
  assert edited.images.shape == (n, *SHAPE) and edited.mask.shape == (n, v)
  assert edited.graph.shape == (n, 64, 64) and ranked.probabilities.shape == (n, 10)
  assert tiny_model.transform(x, 'latents').shape[0] == n
  for i in range(n):
    np.testing.assert_array_equal(codes[i], tiny_model.encode(x[i]))
    np.testing.assert_allclose(
        edited.images[i], tiny_model.intervene(x[i], 'posX+1').images, atol=1e-5)
    np.testing.assert_allclose(
        ranked.probabilities[i], tiny_model.retrieve(x[i], y[i]).probabilities, rtol=1e-3,
        atol=1e-5)
  assert tiny_model.decode(codes).shape == (n, *SHAPE)


def test_forms_of_the_same_images_are_equal(tiny_model, pixels):
  expected = tiny_model.encode(pixels[:3])
  pil = [Image.fromarray(image[..., 0]) for image in pixels[:3]]
  forms = [pixels[:3] / 255., (pixels[:3] / 255.).astype(np.float32), jnp.asarray(pixels[:3]),
           pixels[:3, ..., 0], list(pixels[:3]), pil, tuple(pil)]
  for form in forms:
    np.testing.assert_array_equal(tiny_model.encode(form), expected)
  for single in (pixels[0], pixels[0, ..., 0], pil[0], pixels[0] / 255):
    np.testing.assert_array_equal(tiny_model.encode(single), expected[0])
  np.testing.assert_array_equal(
      tiny_model.encode(pixels > 0), tiny_model.encode((pixels > 0).astype(float)))
  assert tiny_model.encode([]).shape == (0, tiny_model.facts.variables)


def test_actions_by_name_and_number_and_one_for_each_image(tiny_model, pixels):
  by_name = tiny_model.intervene(pixels[:2], ['posX+1', 'shape-1'])
  by_number = tiny_model.intervene(pixels[:2], np.array([3, 5]))
  np.testing.assert_array_equal(by_name.images, by_number.images)
  np.testing.assert_allclose(
      by_name.images[1], tiny_model.intervene(pixels[1], 'shape-1').images, atol=1e-5)
  every = tiny_model.intervene(pixels[0], tiny_model.action_names)
  assert every.images.shape == (10, *SHAPE)
  np.testing.assert_allclose(every.images[3], by_name.images[0], atol=1e-5)
  assert tiny_model.intervene(pixels[:0], 'posX+1').images.shape == (0, *SHAPE)


def test_ranked_names_follow_the_probabilities(tiny_model, pixels):
  ranked = tiny_model.retrieve(pixels[:2], pixels[2:4])
  np.testing.assert_allclose(ranked.probabilities.sum(-1), 1, rtol=1e-5)
  best = ranked.best(3)
  assert len(best) == 2 and len(best[0]) == 3
  assert best[0][0][0] == ranked.names[ranked.probabilities[0].argmax()]
  assert best[0][0][1] >= best[0][1][1] >= best[0][2][1]
  alone = tiny_model.retrieve(pixels[0], pixels[2]).best()
  assert [name for name, _ in alone] == [best[0][0][0]]


@pytest.mark.parametrize('images, message', [
    (np.zeros((2, 32, 32, 1), np.uint8), r'\(2, 32, 32, 1\).*\[n, 64, 64, 1\]'),
    (np.zeros((2, 64, 64, 3), np.uint8), '1 channel'),
    (np.zeros((2, 1, 64, 64), np.uint8), 'last'),
    (np.zeros((1, 2, 64, 64, 1), np.uint8), 'expected'),
    (np.float32(0), 'shape'),
    (np.full((1, *SHAPE), np.nan), 'NaN'),
    (np.full((1, *SHAPE), np.inf), 'infinity'),
    (np.full((1, *SHAPE), 255.), r'255.*\[0, 1\]'),
    (np.full((1, *SHAPE), -.5), r'-0.5.*\[0, 1\]'),
    (np.zeros((1, *SHAPE), np.int64), 'int64.*uint8'),
    (np.zeros((1, *SHAPE), complex), 'complex128'),
    ('image.png', 'expected uint8'),
    (None, 'object'),
    ([np.zeros(SHAPE), np.zeros((32, 32, 1))], r'images\[1\] has shape'),
    ([np.zeros((1, *SHAPE))], 'list of batches'),
    (Image.new('RGB', (64, 64)), r'\(64, 64, 3\)'),
    (Image.new('L', (64, 32)), r'\(32, 64\)'),
    (Image.new('P', (64, 64)), r'\(64, 64, 3\)')])
def test_bad_images_are_refused_with_what_was_expected(tiny_model, images, message):
  with pytest.raises(UserError, match=message):
    tiny_model.encode(images)
  with pytest.raises(UserError, match='targets|' + message):
    tiny_model.retrieve(np.zeros(SHAPE), images)


def test_a_binary_image_in_bytes_is_warned_of_where_it_was_given(tiny_model):
  image = np.ones(SHAPE, np.uint8)
  for call in (lambda: tiny_model.encode(image), lambda: tiny_model.encode([image]),
               lambda: tiny_model.intervene(image, 0), lambda: tiny_model.transform(image),
               lambda: tiny_model.retrieve(image, image > 0)):
    with pytest.warns(UserWarning, match='almost black') as found:
      call()
    assert (found[0].filename, found[0].lineno) == (__file__, call.__code__.co_firstlineno)


def test_bad_arguments_are_refused(tiny_model, pixels):
  v = tiny_model.facts.variables
  for call, message in [
      (lambda: tiny_model.intervene(pixels[0], 'posZ+1'), "'posZ.1'.*posX.1"),
      (lambda: tiny_model.intervene(pixels[0], 10), '0 to 9'),
      (lambda: tiny_model.intervene(pixels[0], -1), '0 to 9'),
      (lambda: tiny_model.intervene(pixels[0], 1.), 'neither'),
      (lambda: tiny_model.intervene(pixels[:3], [0, 1]), '2 actions for 3 images'),
      (lambda: tiny_model.retrieve(pixels[:3], pixels[:2]), '3 images for 2 targets'),
      (lambda: tiny_model.decode(np.zeros((2, v + 1), int)), rf'\[n, {v}\]'),
      (lambda: tiny_model.decode(np.zeros((2, v))), 'whole numbers'),
      (lambda: tiny_model.decode(np.full((2, v), 8)), '0 to 7'),
      (lambda: tiny_model.decode(np.full(v, -1)), '0 to 7'),
      (lambda: tiny_model.transform(pixels, 'factors'), 'codes, embeddings, latents'),
      (lambda: tiny_model.evaluate(split='training'), 'training'),
      (lambda: tiny_model.evaluate('digits'), 'digits'),
      (lambda: tiny_model.evaluate('shapes3d'), 'shapes3d has images .64, 64, 3.'),
      (lambda: tiny_model.evaluate(colour='red'), "'colour'"),
      (lambda: tiny_model.evaluate(split_seed='one'), "dataset.split_seed is 'one'; .*type int"),
      (lambda: tiny_model.evaluate(fractions=None), 'dataset.fractions is None; .*type tuple'),
      (lambda: tiny_model.evaluate(5), "dataset.name is 5; .*like 'dsprites'"),
      (lambda: tiny_model.evaluate(examples=1.5), 'evaluation.examples is 1.5'),
      (lambda: tiny_model.evaluate(source='elsewhere'), 'elsewhere')]:
    with pytest.raises(UserError, match=message):
      call()


def test_repr_tells_what_the_model_is(tiny_model):
  text = repr(tiny_model)
  for part in ('dsprites (rendered)', 'step 20', '64x64x1', '8 codes', '8x8', 'orientation-1'):
    assert part in text, part


def test_evaluation_equals_that_of_the_run(tiny_run, tiny_model):
  figures = tiny_model.evaluate()
  left = json.loads((tiny_run / 'evaluation.json').read_text())
  assert {**figures, 'seconds': 0} == {**left, 'seconds': 0}
  other = tiny_model.evaluate('dsprites', 'validation', examples=8, split_seed=1)
  assert other['split'] == 'validation' and other['retrieval']['pairs'] == 8
  run = tiny_model.open_run()
  state = runs.to_state(runs.read_run(str(tiny_run)))
  part = evaluate.evaluate_state(run, state, tiny_model.config, split='test', examples=8)
  assert part['retrieval']['pairs'] == 8


def test_older_steps_and_runs_without_model_json(tiny_run, tiny_model, tmp_path, pixels):
  older = cvq.load(tiny_run, step=15)
  assert older.facts.step == 15                          # before the last stage, and one step more
  codes = lambda model: model.transform(pixels, 'coordinates')
  assert (codes(older) != codes(tiny_model)).any()
  with pytest.raises(UserError, match='step 3 .*15, 20'):
    cvq.load(tiny_run, step=3)
  shutil.copytree(tiny_run, tmp_path / 'old')
  (tmp_path / 'old' / 'model.json').unlink()
  config = json.loads((tiny_run / 'config.json').read_text())
  del config['dataset']['held_out'], config['model']['transition']['noise']
  (tmp_path / 'old' / 'config.json').write_text(json.dumps(config))
  old = cvq.load(str(tmp_path / 'old'))
  assert old.action_names == tiny_model.action_names
  assert old.config == tiny_model.config
  np.testing.assert_array_equal(old.encode(pixels), tiny_model.encode(pixels))


def test_a_run_from_before_the_global_level_goes_on_without(tiny_run, tmp_path, pixels):
  """Its config lacks the fields, its checkpoint the parameters."""
  config = json.loads((tiny_run / 'config.json').read_text())
  fields = {'model': dict(config['model']), 'loss': dict(config['loss'])}
  del config['train_global'], fields['model']['global_level']
  fields['loss'] = {k: v for k, v in fields['loss'].items() if not k.startswith('global_')}
  before = runs.to_config(config | fields)
  assert before.model.global_level.codes == before.train_global.steps == 0
  about = description.read(str(tiny_run))
  assert 'global_level' not in runs.abstract_state(before, about).params
  (tmp_path / 'config.json').write_text(json.dumps(config | fields))
  stored_config.check(str(tmp_path), before)
  with pytest.raises(UserError, match='(?s)level.codes: 0 -> 256.*train_global.steps: 0 -> 4'):
    stored_config.check(str(tmp_path), runs.to_config(
        json.loads((tiny_run / 'config.json').read_text())))
  state = train_state.create(
      runs.build(before, about), train_state.make_optimizer(before), jax.random.key(0),
      about.image_shape)
  model = Model(runs.Trained(before, about, state.variables, 0, '0', None))
  with pytest.raises(UserError, match='no global level'):
    model.transform(pixels, 'global_codes')
  assert model.transform(pixels[:1]).shape == (1, model.facts.variables)


def test_a_run_from_before_messages_gave_a_choice_has_attention(tiny_run):
  config = json.loads((tiny_run / 'config.json').read_text())
  for name in ('messages', 'reach', 'inner'):
    del config['model']['transition'][name]
  before = runs.to_config(config)
  assert before.model.transition.messages == 'attention'
  shapes = runs.abstract_state(before, description.read(str(tiny_run))).params
  assert 'query' in shapes['transition']['inference']


def test_a_model_needs_no_data(tiny_run, tmp_path, monkeypatch, pixels):
  monkeypatch.setattr(runs.datasets, 'load_dataset', lambda _: pytest.fail('opened the dataset'))
  assert cvq.load(tiny_run).encode(pixels[:1]).shape[0] == 1


def test_folders_that_hold_no_run_are_refused(tiny_run, tmp_path):
  with pytest.raises(UserError, match='holds no run'):
    cvq.load(tmp_path)
  with pytest.raises(UserError, match='no such file'):
    cvq.load(tmp_path / 'missing.safetensors')
  shutil.copytree(tiny_run, tmp_path / 'run', ignore=shutil.ignore_patterns('checkpoints'))
  (tmp_path / 'run' / 'checkpoints').mkdir()
  with pytest.raises(UserError, match='no complete checkpoint'):
    cvq.load(tmp_path / 'run')
  (tmp_path / 'run' / 'model.json').write_text('{"image_shape": 3}')
  with pytest.raises(UserError, match='model.json is damaged'):
    cvq.load(tmp_path / 'run')
  for fields, message in [('', 'damaged'), ('"colour": 1', 'colour'), ('"seed": "a"', 'seed')]:
    (tmp_path / 'run' / 'config.json').write_text(
        fields and f'{{{fields}, "dataset": {{"name": "dsprites"}}}}')
    with pytest.raises(UserError, match=message):
      cvq.load(tmp_path / 'run')
