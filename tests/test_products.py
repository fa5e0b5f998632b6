"""Products of rounded inputs: all of them, those of the gradient too, and nothing else."""

import functools

import chex
import jax
from jax import lax
import jax.numpy as jnp
from jax.extend import core
import numpy as np
import pytest

from cvq import objectives, products, state as train_state, steps
from cvq.models import ct_vae, quantizer as vq
from tests import small

HIGHEST = lax.Precision.HIGHEST


def rounded(x):
  """To bfloat16, in NumPy's float64: half a unit of its last place is added, then bits are cut."""
  bits = np.asarray(x, np.float32).view(np.uint32)
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & np.uint32(0xffff0000)
  return bits.view(np.float32).astype(np.float64)


def normal(seed, *shape):
  return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def found(program) -> list[core.JaxprEqn]:
  """Every product of a program, in branches and loops too."""
  inner = [product for part in core.subjaxprs(program) for product in found(part)]
  return inner + [operation for operation in program.eqns if operation.primitive.name in
                  ('dot_general', 'conv_general_dilated')]


def types(product) -> tuple[str, ...]:
  return tuple(str(x.aval.dtype) for x in (*product.invars, *product.outvars))


@pytest.fixture(name='accelerator')
def fixture_accelerator(monkeypatch):
  """What is traced is what an accelerator would get; it can't be run here."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')


def test_a_product_and_its_gradient_are_those_of_rounded_inputs():
  x, w, g = normal(0, 9, 70), normal(1, 70, 30), normal(2, 9, 30)
  run = jax.jit(products.rounded(jax.value_and_grad(
      lambda x, w: ((y := jnp.sin(x) @ w) * g).sum() + 0 * y.sum(), argnums=(0, 1))))
  value, (of_x, of_w) = run(x, w)
  y = rounded(np.sin(x)) @ rounded(w)
  np.testing.assert_allclose(value, (y * g).sum(), rtol=1e-5)
  np.testing.assert_allclose(of_w, rounded(np.sin(x)).T @ rounded(g), rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(of_x, np.cos(x) * (rounded(g) @ rounded(w).T), rtol=1e-5, atol=1e-5)
  assert np.abs(of_w - np.sin(x).T @ g).max() > 1e-3         # the difference can be seen
  assert value.dtype == of_x.dtype == of_w.dtype == jnp.float32


def test_a_convolution_of_rounded_inputs():
  x, w = normal(0, 2, 6, 6, 5), normal(1, 3, 3, 5, 4)
  got = jax.jit(products.rounded(lambda x, w: lax.conv_general_dilated(
      x, w, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))))(x, w)
  windows = np.lib.stride_tricks.sliding_window_view(rounded(x), (3, 3), axis=(1, 2))
  np.testing.assert_allclose(got, np.einsum('bhwirc,rcio->bhwo', windows, rounded(w)),
                             rtol=1e-5, atol=1e-5)


def looped():
  """A function of [3, 4] with products in a loop, a branch, and a part that is recomputed."""
  w = normal(0, 4, 4)

  @jax.checkpoint
  def inside(x):
    return lax.platform_dependent(x @ w, cpu=lambda y: y @ w, default=lambda y: y @ w @ w)

  def function(x):
    return lax.scan(lambda x, _: (jax.jit(inside)(x), None), x, None, length=2)[0].sum()

  return function, w


def test_loops_branches_and_recomputed_parts_are_reached():
  function, w = looped()
  x = normal(1, 3, 4)
  once = lambda y: rounded(rounded(y) @ rounded(w)) @ rounded(w)
  np.testing.assert_allclose(jax.jit(products.rounded(function))(x), once(once(x)).sum(), rtol=1e-4)


@pytest.mark.usefixtures('accelerator')
def test_accelerators_get_all_of_them_in_bfloat16():
  function, _ = looped()
  x = normal(1, 3, 4)
  gradient = jax.make_jaxpr(products.rounded(jax.grad(function)))(x)
  of = found(gradient.jaxpr)
  assert len(of) == len(found(jax.make_jaxpr(jax.grad(function))(x).jaxpr)) > 6
  assert {types(product) for product in of} == {('bfloat16', 'bfloat16', 'float32')}
  for platform in 'cuda', 'tpu':
    text = jax.jit(products.rounded(jax.grad(function))).trace(x).lower(
        lowering_platforms=(platform,)).as_text()
    lines = [line for line in text.splitlines() if 'stablehlo.dot_general' in line]
    assert lines and all(line.count('xbf16>') == 2 and line.count('xf32>') == 1 for line in lines)


@pytest.mark.usefixtures('accelerator')
@pytest.mark.parametrize('default', [None, 'highest', 'bfloat16'])
def test_only_what_asks_for_it_keeps_its_inputs(default):
  def function(x, w, n):
    return x @ w, jnp.matmul(x, w, precision=HIGHEST), n @ n
  args = normal(0, 3, 4), normal(1, 4, 5), np.eye(3, dtype=np.int32)
  with jax.default_matmul_precision(default):
    program = jax.make_jaxpr(products.rounded(function))(*args)
  assert [types(product)[0] for product in found(program.jaxpr)] == ['bfloat16', 'float32', 'int32']


def traced(c, mode):
  """The products of one step. Traced only: nothing is compiled."""
  model = ct_vae.build(c.model, small.SHAPE, small.NUM_ACTIONS)
  optimizer = train_state.make_optimizer(c)
  state = jax.eval_shape(
      lambda: train_state.create(model, optimizer, jax.random.key(0), small.SHAPE))
  step = functools.partial(
      steps.train_step, model=model, optimizer=optimizer, config=c, mode=mode)
  return found(jax.make_jaxpr(step)(state, small.batch(targets=c.train.targets)).jaxpr)


@pytest.mark.usefixtures('accelerator')
@pytest.mark.parametrize('kind, mode', [
    ('tied', 'mixed'), ('tied', 'global'), ('paper', 'causal'), ('paper', 'base')])
def test_a_step_rounds_all_products_but_scores_of_codes(kind, mode):
  # Muon's own products are none of the loss.
  c = (small.config(train__optimizer='adam') if kind == 'tied'
       else small.paper_config(train__trainable='all'))
  before = traced(c, mode)
  c.train.products = 'bfloat16'
  after = traced(c, mode)
  assert len(after) == len(before)
  for old, new in zip(before, after, strict=True):
    assert types(old) == ('float32',) * 3                    # the default knows nothing of it
    exact = old.params['precision'] == (HIGHEST, HIGHEST)
    assert types(new) == ('float32',) * 3 if exact else ('bfloat16', 'bfloat16', 'float32')
  exact = [p for p in before if p.params['precision'] == (HIGHEST, HIGHEST)]
  assert exact and len(exact) < len(before) / 4


def test_latents_get_the_codes_that_they_get_in_float32():
  latents, codebook = vq.normalise(normal(0, 50, 8, 4)), vq.normalise(normal(1, 2, 300, 4))
  expected = vq.nearest_codes(latents, codebook)
  got = jax.jit(products.rounded(vq.nearest_codes))(latents, codebook)
  np.testing.assert_array_equal(got, expected)
  coarse = vq.nearest_codes(*(jnp.asarray(rounded(x), jnp.float32) for x in (latents, codebook)))
  assert (coarse != expected).any()                          # rounding would choose others


@pytest.mark.slow
def test_a_run_with_it_learns_and_its_state_stays_float32():
  c = small.config(train__products='bfloat16', train__steps=60)
  model, optimizer, state = small.build(c)
  step = jax.jit(functools.partial(
      steps.train_step, model=model, optimizer=optimizer, config=c, mode='mixed'))
  losses, before = [], state
  for _ in range(60):
    state, scalars = step(state, small.batch())
    losses.append(scalars['loss'])
  assert losses[-1] < .9 * losses[0]
  chex.assert_trees_all_equal_dtypes(state, before)
  assert all(value.dtype == jnp.float32 for value in scalars.values())

  # One step is that of float32 but for what is rounded: not the same, and not far from it.
  first = functools.partial(objectives.objective, model=model, config=c, mode='mixed')
  loss, _ = jax.jit(first)(before.params, before.stats, small.batch(), jax.random.key(0))
  assert 0 < abs(float(losses[0] / loss) - 1) < .01
