"""The multi-codebook quantizer: K disjoint groups of channels, N codes each.

Plain functions first, then the module that owns the codebooks. Variables are ordered
(codebook, row, column): V = K*H*W. Source: van den Oord et al. 2017 (VQ-VAE), section 3;
Gendron et al. 2023, section 4.1 (several codebooks).
"""

from __future__ import annotations

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

EPSILON = 1e-6


def normalise(x: jax.Array) -> jax.Array:
  """x / |x| over the last axis, with a finite gradient at 0."""
  return x * jax.lax.rsqrt(jnp.sum(x * x, -1, keepdims=True) + EPSILON)


def to_variables(latents: jax.Array, codebooks: int) -> jax.Array:
  """Codebook k gets its own contiguous D/K channels: [B, H, W, D] -> [B, K*H*W, D/K]."""
  b, h, w, d = latents.shape
  x = latents.reshape(b, h, w, codebooks, d // codebooks)
  return x.transpose(0, 3, 1, 2, 4).reshape(b, codebooks * h * w, d // codebooks)


def to_grid(vectors: jax.Array, codebooks: int, grid: tuple[int, int]) -> jax.Array:
  """Inverse of `to_variables`: [B, K*H*W, d] -> [B, H, W, K*d]."""
  b, _, d = vectors.shape
  x = vectors.reshape(b, codebooks, *grid, d).transpose(0, 2, 3, 1, 4)
  return x.reshape(b, *grid, codebooks * d)


def nearness(vectors: jax.Array, codebook: jax.Array) -> jax.Array:
  """<z, c> - |c|^2 / 2, which is (|z|^2 - |z - c|^2) / 2: greatest for the nearest (L2) code.

  Args:
    vectors: [B, V, d]. codebook: [K, N, d].

  Returns:
    [B, K, V / K, N], of each variable with the codes of its own codebook.
  """
  k, _, d = codebook.shape
  b, v, _ = vectors.shape
  groups = vectors.reshape(b, k, v // k, d)
  # HIGHEST: neighbours differ by less than what TF32 or bfloat16 round off.
  score = jnp.einsum('bksd,knd->bksn', groups, codebook, precision=jax.lax.Precision.HIGHEST)
  return score - .5 * jnp.sum(codebook ** 2, -1)[:, None]


def nearest_codes(vectors: jax.Array, codebook: jax.Array) -> jax.Array:
  """Index of the nearest (L2) code of each variable's own codebook.

  Args:
    vectors: [B, V, d]. codebook: [K, N, d].

  Returns:
    [B, V] int32; the lowest index among equals.
  """
  codes = jnp.argmax(nearness(vectors, codebook), -1)
  return codes.reshape(vectors.shape[:2]).astype(jnp.int32)


def look_up(codes: jax.Array, codebook: jax.Array) -> jax.Array:
  """Vectors of codes: [..., V] int -> [..., V, d], each from its own codebook [K, N, d]."""
  k, n, d = codebook.shape
  v = codes.shape[-1]
  offset = jnp.repeat(jnp.arange(k) * n, v // k)
  return codebook.reshape(k * n, d)[codes + offset]


def assignments(codes: jax.Array, vectors: jax.Array, codebook: jax.Array
                ) -> tuple[jax.Array, jax.Array]:
  """How often each code was chosen, and the sum of the latents that chose it.

  Args:
    codes: [B, V]. vectors: [B, V, d] latents. codebook: [K, N, d], for its shape.

  Returns:
    counts [K, N], sums [K, N, d]. Both add up over batches and devices.
  """
  k, n, d = codebook.shape
  v = codes.shape[-1]
  flat = (codes + jnp.repeat(jnp.arange(k) * n, v // k)).reshape(-1)
  counts = jnp.zeros(k * n).at[flat].add(1.)
  sums = jnp.zeros((k * n, d)).at[flat].add(vectors.reshape(-1, d))
  return counts.reshape(k, n), sums.reshape(k, n, d)


def straight_through(latents: jax.Array, vectors: jax.Array) -> jax.Array:
  """The code vectors, whose gradient goes to the latents as it is. Both [B, V, d]."""
  return latents + jax.lax.stop_gradient(vectors - latents)


def rotation(latents: jax.Array, vectors: jax.Array) -> jax.Array:
  """The code vectors, whose gradient is turned and scaled as they are from the latents.

  With z' and e' of unit length and r = unit(z' + e'), z goes to e by the map
  |e|/|z| (1 - 2 r r^T + 2 e' z'^T), which is held constant. Source: Fifty et al. 2024
  (arXiv 2410.06424), section 4.2.

  Args:
    latents, vectors: [B, V, d] z and e.
  """
  z, e = jax.lax.stop_gradient((latents, vectors))
  size = lambda x: jnp.sqrt(jnp.sum(x * x, -1, keepdims=True) + EPSILON)
  along = lambda axis: jnp.sum(latents * axis, -1, keepdims=True)
  r = normalise(normalise(z) + normalise(e))
  turned = latents - 2 * along(r) * r + 2 * along(normalise(z)) * normalise(e)
  moved = size(e) / size(z) * turned
  return moved + jax.lax.stop_gradient(vectors - moved)      # exact where rounding, or -z, is not


GRADIENTS = {'straight_through': straight_through, 'rotation': rotation}


@flax.struct.dataclass
class Quantized:
  """One quantized batch.

  Attributes:
    codes: [B, V] int32.
    vectors: [B, V, d] code vectors; their gradient goes through to the latents.
    latents: [B, V, d] what was quantized (on the unit sphere if `unit`).
    codebook: [K, N, d] as used.
  """
  codes: jax.Array
  vectors: jax.Array
  latents: jax.Array
  codebook: jax.Array


class Quantizer(nn.Module):
  """Owns K codebooks of N codes: parameters, or EMA statistics in collection 'codebook'.

  The collection also counts how often each code was used since the last revival. It is updated
  by `cvq.codebooks`, outside the forward pass, so that all devices agree.
  """
  codebooks: int
  codes: int
  dim: int
  unit: bool
  learning: str
  gradient: str

  def setup(self):
    shape = (self.codebooks, self.codes, self.dim)
    if self.learning == 'gradient':
      self.table = self.param('codebook', self._initial, shape)
    else:
      init = lambda: self._initial(self.make_rng('params'), shape)
      self.table = self.variable('codebook', 'code', init).value
      self.variable('codebook', 'count', jnp.ones, shape[:2])
    self.variable('codebook', 'usage', jnp.zeros, shape[:2])

  def _initial(self, key, shape):
    x = jax.random.normal(key, shape)
    return normalise(x) if self.unit else x / self.dim ** .5

  def codebook(self) -> jax.Array:
    """[K, N, d], of unit length if `unit`."""
    return normalise(self.table) if self.unit else self.table

  def __call__(self, latents: jax.Array) -> Quantized:
    """latents: [B, H, W, D] float32."""
    z = to_variables(latents, self.codebooks)
    z = normalise(z) if self.unit else z
    codebook = self.codebook()
    codes = nearest_codes(jax.lax.stop_gradient(z), jax.lax.stop_gradient(codebook))
    vectors = look_up(codes, codebook)
    return Quantized(codes, GRADIENTS[self.gradient](z, vectors), z, codebook)
