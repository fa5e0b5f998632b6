"""Care of the codebooks between gradient steps: statistics, EMA, first codes, revival.

Pure functions. Inside a parallel step they meet over `axis_name`, so that every device ends with
the same codes; the result does not depend on the number of devices. Keys must be the same on all
devices. Dead codes are the field's commonest failure (40 to 90 % of all codes without revival).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cvq.models import quantizer as vq


def _by_codebook(vectors: jax.Array, codebooks: int) -> jax.Array:
  """[B, V, d] -> [K, B*V/K, d]."""
  b, v, d = vectors.shape
  x = vectors.reshape(b, codebooks, v // codebooks, d)
  return x.transpose(1, 0, 2, 3).reshape(codebooks, -1, d)


def gather(x: jax.Array, axis_name: str | None) -> jax.Array:
  """The batches of all devices one behind the other: [B, ...] -> [devices*B, ...]."""
  return x if axis_name is None else jax.lax.all_gather(x, axis_name, tiled=True)


def ema(stats: dict, counts: jax.Array, sums: jax.Array, decay: float) -> dict:
  """Moves codes towards the mean of their latents (van den Oord et al. 2017, appendix A.1).

  Written as a step from the code itself, so that a code that is not chosen keeps its place
  exactly, however long its count decays.

  Args:
    stats: {'code': [K, N, d], 'count': [K, N], ...}.
    counts: [K, N], sums: [K, N, d] of this step, over all devices.
    decay: in (0, 1).
  """
  count = decay * stats['count'] + (1 - decay) * counts
  step = (1 - decay) * (sums - counts[..., None] * stats['code'])
  code = stats['code'] + step / jnp.maximum(count, 1e-20)[..., None]
  return dict(stats, code=code, count=count)


def sample_latents(key: jax.Array, latents: jax.Array, codebook: jax.Array) -> jax.Array:
  """N latents per codebook, drawn without repetition where there are enough.

  A latent is drawn with a weight that grows with its squared distance to its nearest code
  (k-means++, Arthur and Vassilvitskii 2007): what is drawn well already, such as an empty
  background, hardly counts.

  Args:
    latents: [B, V, d]. codebook: [K, N, d].

  Returns:
    [K, N, d].
  """
  k, n, _ = codebook.shape
  groups = _by_codebook(latents, k)
  codes = vq.nearest_codes(latents, codebook)
  error = jnp.sum((latents - vq.look_up(codes, codebook)) ** 2, -1, keepdims=True)
  weight = jnp.log(_by_codebook(error, k)[..., 0] + 1e-9)
  noise = jax.random.gumbel(key, weight.shape)
  order = jax.lax.top_k(weight + noise, min(n, weight.shape[-1]))[1]         # [K, <=N]
  order = jnp.tile(order, (1, -(-n // order.shape[1])))[:, :n]
  return jnp.take_along_axis(groups, order[..., None], axis=1)


def k_means(key: jax.Array, latents: jax.Array, shape: tuple[int, int, int], *,
            unit: bool, iterations: int = 10) -> jax.Array:
  """First codes from data: Lloyd's algorithm from randomly chosen latents.

  Args:
    latents: [B, V, d]. shape: (K, N, d). unit: codes stay on the unit sphere.

  Returns:
    [K, N, d]. A cluster that loses its last member keeps its code.
  """
  codebook = sample_latents(key, latents, jnp.zeros(shape))

  def refine(codebook, _):
    codes = vq.nearest_codes(latents, codebook)
    counts, sums = vq.assignments(codes, latents, codebook)
    moved = sums / jnp.maximum(counts, 1)[..., None]
    moved = vq.normalise(moved) if unit else moved
    return jnp.where(counts[..., None] > 0, moved, codebook), None

  return jax.lax.scan(refine, codebook, None, length=iterations)[0]


def revive(key: jax.Array, latents: jax.Array, codebook: jax.Array, usage: jax.Array
           ) -> tuple[jax.Array, jax.Array]:
  """Puts codes that were not used since the last revival where latents are badly served.

  Code n takes the n-th draw: where few are dead, those of a high index get one of the later, whose
  latents are served less badly.

  Args:
    latents: [B, V, d] of all devices. codebook: [K, N, d]. usage: [K, N] counts.

  Returns:
    The codebook [K, N, d], and which codes were revived, [K, N] bool.
  """
  dead = usage == 0
  return jnp.where(dead[..., None], sample_latents(key, latents, codebook), codebook), dead


def reset_rows(opt_state, rows: jax.Array):
  """Zeroes the optimizer's moments of revived codes: a stale mean would drag them back.

  Args:
    opt_state: any optax state; leaves under the name 'codebook' are the moments of the codebook.
    rows: [K, N] bool.
  """
  def reset(path, leaf):
    named = any(getattr(entry, 'key', None) == 'codebook' for entry in path)
    return jnp.where(rows[..., None], 0, leaf) if named else leaf
  return jax.tree_util.tree_map_with_path(reset, opt_state)
