"""The training step: devices agree, modes train what they must, frozen parts stay."""

import functools

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cvq import objectives, parallel, steps
from cvq.models import global_level
from tests import recorded, small


def step_of(c, model, optimizer, mode, axis_name=None):
  return functools.partial(
      steps.train_step, model=model, optimizer=optimizer, config=c, mode=mode,
      axis_name=axis_name)


def split(batch, devices):
  return {name: value.reshape(devices, -1, *value.shape[1:]) for name, value in batch.items()}


def moved(before, after) -> dict:
  """Which top-level parts of the parameters changed."""
  differs = lambda a, b: any(bool((x != y).any()) for x, y in
                             zip(jax.tree.leaves(a), jax.tree.leaves(b)))
  return {name: differs(before[name], after[name]) for name in before}


def moments(state) -> dict:
  """The optimizer's running means of the gradient, of all parameters; of Muon's and of Adam's."""
  parts = [mean for _, mean in optax.tree_utils.tree_get_all_with_path(state.opt_state, 'mu')]
  masked = lambda leaf: isinstance(leaf, optax.MaskedNode)
  return jax.tree.map(
      lambda *leaves: next(leaf for leaf in leaves if not masked(leaf)), *parts, is_leaf=masked)


class StepsTest(chex.TestCase, parameterized.TestCase):

  @parameterized.parameters('tied_gradient', 'tied_ema', 'tied_global', 'paper')
  @pytest.mark.slow
  def test_one_device_equals_four_on_the_same_global_batch(self, kind):
    """Under vmap with pmap's axes: out_axes=None raises where a leaf was not averaged."""
    if kind == 'paper':
      c = small.paper_config(model__transition__sampling='mean', train__trainable='all')
      mode = 'action'
    else:
      # Revival falls due at step 1, in both.
      c, mode = small.config(model__quantizer__revive_every=1), 'mixed'
      if kind == 'tied_global':
        mode = 'global'
      else:
        c.model.quantizer.learning = kind.removeprefix('tied_')
    model, optimizer, state = small.build(c)
    batch = small.batch(targets=c.train.targets)
    alone, scalars = jax.jit(step_of(c, model, optimizer, mode))(state, batch)
    four = jax.jit(jax.vmap(step_of(c, model, optimizer, mode, 'batch'), axis_name='batch',
                            in_axes=(None, 0), out_axes=(None, None)))
    together, scalars_of_four = four(state, split(batch, 4))
    chex.assert_trees_all_close(scalars_of_four, scalars, rtol=1e-4, atol=1e-5)
    # The first step divides by the gradient's size: compare moments, not noise of signs.
    of_four, of_one = moments(together), moments(alone)
    chex.assert_trees_all_close(of_four, of_one, rtol=1e-3, atol=1e-6)
    whole = optax.tree.norm(of_one)
    for name, difference in jax.tree_util.tree_leaves_with_path(
        jax.tree.map(lambda a, b: jnp.linalg.norm(a - b), of_four, of_one)):
      self.assertLess(float(difference / whole), 1e-6, jax.tree_util.keystr(name))
    chex.assert_trees_all_close(together.stats, alone.stats, rtol=1e-4, atol=1e-5)
    if kind == 'tied_gradient':       # the revived codes are the same ones
      dead = of_one['quantizer']['codebook'] == 0
      self.assertTrue(dead.any())
      codes = [jnp.where(dead, s.params['quantizer']['codebook'], 0) for s in (together, alone)]
      chex.assert_trees_all_close(*codes, rtol=1e-4, atol=1e-5)

  @pytest.mark.slow
  def test_in_float64_four_devices_train_like_one(self):
    """Nothing is computed otherwise on four: what differs in float32 is what sums round off."""
    with jax.enable_x64(True):
      c = small.config(model__quantizer__revive_every=2, loss__code_entropy=1.)
      model, optimizer, state = small.build(c)
      alone = together = recorded.in_float64(state)
      step = jax.jit(step_of(c, model, optimizer, 'mixed'))
      four = jax.jit(jax.vmap(step_of(c, model, optimizer, 'mixed', 'batch'), axis_name='batch',
                              in_axes=(None, 0), out_axes=(None, None)))
      for i in range(6):
        alone, _ = step(alone, small.batch(i))
        together, _ = four(together, split(small.batch(i), 4))
      self.assertEqual(alone.params['encoder']['embed']['kernel'].dtype, jnp.float64)
      chex.assert_trees_all_close(together.params, alone.params, rtol=1e-9, atol=1e-9)
      chex.assert_trees_all_equal(together.stats, alone.stats)

  @pytest.mark.slow
  def test_keys_have_a_bias_that_changes_nothing(self):
    """Its gradient is rounding alone, which Adam makes steps of: runs differ most in it."""
    c = small.config(model__transition__messages='attention')
    model, _, state = small.build(c)
    gradient = jax.jit(jax.grad(functools.partial(
        objectives.objective, model=model, config=c, mode='mixed'), has_aux=True))(
            state.params, state.stats, small.batch(), jax.random.key(0))[0]
    of = gradient['transition']['inference']
    self.assertLess(float(jnp.abs(of['key']['bias']).max()),
                    1e-5 * float(jnp.abs(of['key']['kernel']).max()))

  @pytest.mark.slow
  def test_pmap_runs_the_same_step(self):
    c = small.config()
    model, optimizer, state = small.build(c)
    batch = small.batch()
    expected, _ = jax.jit(step_of(c, model, optimizer, 'mixed'))(state, batch)
    run = parallel.parallel_train_step(step_of(c, model, optimizer, 'mixed', parallel.AXIS))
    got, _ = run(jax.tree.map(jnp.copy, state), parallel.shard(batch))
    chex.assert_trees_all_close(got.params, expected.params, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(
      *(mode for mode in objectives.MODES if mode not in ('single', 'global')))
  @pytest.mark.slow
  def test_every_mode_is_finite_and_reaches_its_parts(self, mode):
    c = small.paper_config(train__trainable='all')
    model, optimizer, state = small.build(c)
    after, scalars = jax.jit(step_of(c, model, optimizer, mode))(state, small.batch(targets=1))
    chex.assert_tree_all_finite((after, scalars))
    changes = moved(state.params, after.params)
    self.assertTrue(changes['encoder'] and changes['decoder'] and changes['quantizer'])
    self.assertEqual(changes['transition'], mode != 'reconstruction')
    self.assertEqual(changes['log_temperature'], mode in ('causal', 'mixed'))

  @pytest.mark.slow
  def test_second_stage_of_the_paper_moves_the_transition_only(self):
    c = small.paper_config()
    model, optimizer, state = small.build(c)
    # A first stage leaves momentum behind, which must not move anything later.
    state, _ = jax.jit(step_of(c, model, optimizer, 'reconstruction'))(state, small.batch())
    after, _ = jax.jit(step_of(c, model, optimizer, 'causal'))(state, small.batch(targets=1))
    changes = moved(state.params, after.params)
    self.assertEqual(changes, {'encoder': False, 'decoder': False, 'quantizer': False,
                               'transition': True, 'log_temperature': True})
    chex.assert_trees_all_equal(after.stats, state.stats)

  def test_figures_of_the_global_level_are_those_of_a_loop(self):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (2, 60, 2))
    action = rng.integers(0, 4, 60)
    got = steps._global_figures(x, y, action)
    for i in range(60):
      own, sign = action[i] % 2, 1 if action[i] < 2 else -1
      self.assertEqual(int(got['global_changed'][i]), int((x[i] != y[i]).sum()))
      self.assertEqual(bool(got['global_moved'][i]), y[i, own] - x[i, own] == sign)
      self.assertEqual(bool(got['global_stayed'][i]), y[i, 1 - own] == x[i, 1 - own])

  @pytest.mark.slow
  def test_lattice_of_one_device_is_that_of_four_and_moves_nothing_else(self):
    model, _, state = small.build(small.config())
    batch = small.batch(size=16)
    fit = functools.partial(steps.fit_lattice, model=model)
    alone = jax.jit(fit)(state, batch)
    four = jax.jit(jax.vmap(functools.partial(fit, axis_name='batch'), axis_name='batch',
                            in_axes=(None, 0), out_axes=None))(state, split(batch, 4))
    chex.assert_trees_all_close(four.params, alone.params, rtol=1e-4, atol=1e-5)
    images = objectives.to_float(np.concatenate([batch['x'], batch['y'].reshape(
        -1, *batch['x'].shape[1:])]))
    coordinates = lambda m, x: m.coordinates(m.encode(x))
    values = model.apply(state.variables, images, method=coordinates).values
    shifts = global_level.shifts(batch['action'], values.shape[-1])
    offset, spacing = global_level.fit_lattice(
        values[:16], values[16:].reshape(16, -1, values.shape[-1]), shifts)
    level = alone.params['global_level']
    chex.assert_trees_all_close((level['offset'], level['spacing']), (offset, spacing), rtol=1e-3,
                                atol=1e-3)
    same = alone.params['global_level'] | {
        name: state.params['global_level'][name] for name in ('offset', 'spacing')}
    chex.assert_trees_all_equal(alone.params | {'global_level': same}, state.params)

  @pytest.mark.slow
  def test_global_level_of_a_model_with_the_graph_of_the_paper(self):
    c = small.paper_config(model__global_level__codes=16, train_global__steps=2)
    model, optimizer, state = small.build(c)
    after, scalars = jax.jit(step_of(c, model, optimizer, 'global'))(state, small.batch())
    chex.assert_tree_all_finite((after, scalars))
    self.assertTrue(moved(state.params, after.params)['global_level'])

  @pytest.mark.slow
  def test_alternatives_that_are_equal_train_as_one_does(self):
    c = small.config(model__transition__alternatives=2)
    model, optimizer, state = small.build(c)
    layer = state.params['transition']
    own = ('own_scale', 'own_shift', 'weight')
    equal = state.replace(params=state.params | {
        'transition': layer | jax.tree.map(jnp.zeros_like, {name: layer[name] for name in own})})
    one, figures = jax.jit(step_of(c, model, optimizer, 'single'))(equal, small.batch())
    two, same = jax.jit(step_of(c, model, optimizer, 'mixed'))(equal, small.batch())
    for name in ('loss', 'action_nll', 'action_image', 'retrieval', 'mask_size'):
      np.testing.assert_allclose(figures[name], same[name], rtol=1e-5, err_msg=name)
    chex.assert_trees_all_equal(
        *({name: s.params['transition'][name] for name in own} for s in (one, equal)))
    self.assertTrue(moved(equal.params['transition'], two.params['transition'])['own_shift'])

  @pytest.mark.slow
  def test_last_stage_moves_the_global_level_only(self):
    c = small.config(train__weight_decay=.1)             # it would move what is at rest too
    model, optimizer, state = small.build(c)
    mixed, _ = jax.jit(step_of(c, model, optimizer, 'mixed'))(state, small.batch())
    self.assertFalse(moved(state.params, mixed.params)['global_level'])
    after, _ = jax.jit(step_of(c, model, optimizer, 'global'))(mixed, small.batch())
    changes = moved(mixed.params, after.params)
    self.assertEqual([name for name, changed in changes.items() if changed], ['global_level'])
    chex.assert_trees_all_equal(after.stats, mixed.stats)

  @parameterized.parameters('mixed', 'global')
  @pytest.mark.slow
  def test_loss_is_the_weighted_sum_of_its_terms(self, mode):
    c = small.config()
    model, optimizer, state = small.build(c)
    _, scalars = jax.jit(step_of(c, model, optimizer, mode))(state, small.batch())
    total = sum(c.loss[name] * scalars[name] for name in c.loss if name in scalars)
    chex.assert_trees_all_close(scalars['loss'], total, rtol=1e-5)

  @pytest.mark.slow
  def test_targets_that_are_not_drawn_count_by_their_codes_alone(self):
    """What is scored does not depend on `drawn`; what is drawn is as if there were no others."""
    batch = small.batch(targets=3)
    first = {name: value if name == 'x' else value[:, :1] for name, value in batch.items()}

    def terms_of(batch, drawn):
      c = small.config(train__drawn=drawn, train__predicted='first')
      model, _, state = small.build(c)
      loss = jax.jit(functools.partial(objectives.objective, model=model, config=c, mode='mixed'))
      return loss(state.params, state.stats, batch, jax.random.key(0))[1]['terms']

    one, two, alone, every = (
        terms_of(batch, 1), terms_of(batch, 2), terms_of(first, 1), terms_of(batch, 9))
    for name in ('retrieval', 'action_nll'):
      chex.assert_trees_all_close(one[name], two[name], every[name], rtol=1e-5)
      self.assertNotEqual(float(one[name]), float(alone[name]))
    for name in ('reconstruction', 'action_image', 'codebook', 'commitment'):
      chex.assert_trees_all_close(one[name], alone[name], rtol=1e-5)
      self.assertNotEqual(float(one[name]), float(two[name]))

  @parameterized.parameters(1, 2)
  def test_the_least_likely_targets_are_compared_with_their_predictions(self, alternatives):
    def terms_by(predicted):
      c = small.config(model__transition__alternatives=alternatives, train__predicted=predicted)
      model, _, state = small.build(c)
      return jax.jit(lambda batch: objectives.objective(
          state.params, state.stats, batch, jax.random.key(0), model=model, config=c,
          mode='mixed')[1]['terms'])

    terms, batch = terms_by('worst'), small.batch(targets=3)
    expected = []
    for i in range(len(batch['x'])):
      alone = [terms({'x': batch['x'][i:i + 1], **{
          name: batch[name][i:i + 1, j:j + 1] for name in ('y', 'action')}}) for j in range(3)]
      expected.append(max(alone, key=lambda found: found['action_nll'])['action_image'])
    found, first = (float(of(batch)['action_image']) for of in (terms, terms_by('first')))
    chex.assert_trees_all_close(found, np.mean(expected), rtol=1e-5)
    self.assertNotAlmostEqual(first, found, places=6)

  def test_the_step_is_deterministic_and_its_key_follows_the_step(self):
    c = small.config(model__transition__sampling='gumbel')
    model, optimizer, state = small.build(c)
    step = jax.jit(step_of(c, model, optimizer, 'mixed'))
    batch = small.batch()
    chex.assert_trees_all_equal(step(state, batch), step(state, batch))
    later = state.replace(step=state.step + 1)
    self.assertNotEqual(float(step(state, batch)[1]['loss']), float(step(later, batch)[1]['loss']))

  @parameterized.parameters('gradient', 'ema')
  def test_revival_puts_dead_codes_to_work(self, update):
    c = small.config(model__quantizer__learning=update)
    model, _, state = small.build(c)
    images = objectives.to_float(small.batch(size=32)['x'])
    def encode(state):
      variables = {'params': state.params, 'codebook': {'quantizer': state.stats}}
      return model.apply(variables, images, method=model.encode)
    usage = jnp.zeros_like(state.stats['usage'])
    state = state.replace(stats=dict(state.stats, usage=usage))
    far = jax.tree.map(lambda x: x, encode(state))
    state = steps.revive(jax.random.key(0), state, far.latents, model)
    codes = encode(state).codes.reshape(32, model.quantizer.codebooks, -1)
    for k in range(model.quantizer.codebooks):
      self.assertEqual(len(np.unique(codes[:, k])), c.model.quantizer.codes)

  @parameterized.parameters('gradient', 'ema')
  @pytest.mark.slow
  def test_codebook_from_data_is_the_same_on_all_devices(self, update):
    c = small.config(model__quantizer__learning=update)
    model, _, state = small.build(c)
    batch = small.batch()
    run = functools.partial(steps.initialise_codebook, model=model, config=c)
    alone = run(state, batch)
    together = jax.vmap(functools.partial(run, axis_name='batch'), axis_name='batch',
                        in_axes=(None, 0), out_axes=None)(state, split(batch, 4))
    chex.assert_trees_all_close(together, alone, rtol=1e-4, atol=1e-5)

  def test_evaluation_is_deterministic_and_complete(self):
    c = small.config(model__transition__sampling='gumbel')
    model, _, state = small.build(c)
    batch = small.batch(targets=1)
    run = jax.jit(functools.partial(steps.eval_step, model=model))
    first, second = run(state, batch), run(state, batch)
    chex.assert_trees_all_equal(first, second)
    chex.assert_trees_all_close(first['posterior'].sum(-1), jnp.ones(8), rtol=1e-5)
    variables = 4 * c.model.quantizer.codebooks
    chex.assert_trees_all_equal(first['counts'].sum((1, 2)), jnp.full(8, 2 * variables))
    error = objectives.to_float(batch['x']) - objectives.to_float(batch['y'][:, 0])
    chex.assert_trees_all_close(first['copy_mse'], (error ** 2).mean((1, 2, 3)), rtol=1e-5)
