"""A tiny GraphTransition with random parameters, shared by tests; compiled once for each use."""

import functools

import jax
import jax.numpy as jnp

from cvq.models.gat import GraphTransition
from cvq.models.quantizer import Quantized

B, V, N, A = 2, 6, 5, 4


def quantized(codes):
  """Of x, as far as the layer reads it."""
  empty = jnp.zeros((*codes.shape, 1))
  return Quantized(codes=codes, vectors=empty, latents=empty, codebook=jnp.zeros((1, N, 1)))


@functools.cache
def make(**fields):
  """-> layer, params (perturbed, so that no bias is zero), codes [B, V], all actions [B, A]."""
  layer = GraphTransition(
      codebooks=1, codes=N, grid=(2, 3), num_actions=A, edge_hidden=7, hidden=3, **fields)
  codes = jax.random.randint(jax.random.key(0), (B, V), 0, N)
  actions = jnp.broadcast_to(jnp.arange(A), (B, A))
  shapes = jax.eval_shape(
      lambda: layer.init({'params': jax.random.key(1)}, quantized(codes), actions, train=False))
  leaves, tree = jax.tree.flatten(shapes['params'])
  keys = jax.random.split(jax.random.key(3), len(leaves))
  return (layer, jax.tree.unflatten(
      tree, [.5 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves)]), codes, actions)


@functools.partial(jax.jit, static_argnums=0, static_argnames='train')
def predict(layer, params, codes, actions, *, train=False, seed=0):
  """The layer's Prediction; seed None: without a random key."""
  rngs = {} if seed is None else {'sample': jax.random.key(seed)}
  return layer.apply({'params': params}, quantized(codes), actions, train=train, rngs=rngs)


@functools.partial(jax.jit, static_argnums=0, static_argnames=('train', 'identity'))
def observe(layer, params, codes, *, train=False, seed=0, identity=False):
  """The layer's Prediction without action."""
  return layer.apply({'params': params}, quantized(codes), train=train, identity=identity,
                     rngs={'sample': jax.random.key(seed)}, method=layer.observe)


@functools.partial(jax.jit, static_argnums=0)
def infer(layer, params, codes, graph, mask, actions):
  """Logits [B, M, V, N] for a given graph [B, M, V, V] and mask [B, M, V]."""
  def run(module):
    return module.infer(module.nodes(codes), graph, mask, actions, False)
  return layer.apply({'params': params}, method=run)
