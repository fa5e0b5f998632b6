"""The global level: a few variables of the whole image, read off the nodes of the transition.

Variable f is what action f and its opposite move: by +1 and by -1, and nothing else moves it. That
fixes it up to a constant wherever steps lead from every image to every other. No generality is
lost in the choice of variables: coordinates that every pair of opposite actions shifts by some
vector of its own, these vectors independent, are a linear map away from these, the sparsest.

So no mechanism has to be learned, only the coordinates, and where on them the codes lie: evenly,
`offset` + n `spacing`. The spacing is less than 1, since squared errors shrink what is noisy. What
a line cannot hold is lost: on a factor that comes back to where it was (a square turned by 90
degrees) steps add up to 0, and where all are equally frequent, the least error is that of a
constant.

Compare Shu et al. 2020 (Weakly supervised disentanglement with guarantees), on what pairs in which
a known factor changes can identify, and Mentzer et al. 2023 (Finite scalar quantization).
"""

from __future__ import annotations

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from cvq.models.decoder import shifted_neighbours

SPREAD = 8.           # of the coordinates at the start, in steps; a range of factors is 2 to 40
CANDIDATES = 201      # spacings that are tried
LEAST_SPACING = .5    # where no step is ever seen, the spacing would shrink to 0


@flax.struct.dataclass
class Coordinates:
  """G variables of B images.

  Attributes:
    codes: [B, G] int32, 0 to N - 1.
    values: [B, G] float32, the coordinates.
    offset, spacing: [G], of the middle code, and between neighbouring codes.
  """
  codes: jax.Array
  values: jax.Array
  offset: jax.Array
  spacing: jax.Array


def shifts(actions: jax.Array, axes: int) -> jax.Array:
  """By how much actions move every variable: [...] int, 0 to 2G - 1 -> [..., G] in -1, 0, 1."""
  own = jax.nn.one_hot(actions % axes, axes)
  return own * (1 - 2 * (actions // axes))[..., None]


def in_steps(values: jax.Array, offset: jax.Array, spacing: jax.Array) -> jax.Array:
  """[B, G] coordinates -> [B, G], in units of the spacing, from the middle code on."""
  return (values - offset) / jnp.maximum(spacing, LEAST_SPACING)


def to_codes(values: jax.Array, offset: jax.Array, spacing: jax.Array, codes: int) -> jax.Array:
  """[B, G] coordinates -> the nearest codes, [B, G] int32, 0 to N - 1."""
  nearest = jnp.round(in_steps(values, offset, spacing)).astype(jnp.int32) + codes // 2
  return jnp.clip(nearest, 0, codes - 1)


def fit_lattice(x: jax.Array, y: jax.Array, shifts: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Where codes lie, once coordinates rest: as training would in the end, but exactly.

  The spacing is near the mean step, where coordinates gather most around an even grid: where the
  mean of exp(2 pi i z / spacing) is longest. Its angle is the offset.

  Args:
    x: [B, G] coordinates. y: [B, T, G], after actions that shift them by [B, T, G].

  Returns:
    offset [G], within half a spacing of 0, and spacing [G], at least `LEAST_SPACING`.
  """
  steps = jnp.sum((y - x[:, None]) * shifts, (0, 1)) / jnp.maximum(jnp.abs(shifts).sum((0, 1)), 1)
  spacing = jnp.maximum(steps * jnp.linspace(.95, 1.05, CANDIDATES)[:, None], LEAST_SPACING)
  values = jnp.concatenate([x[:, None], y], axis=1).reshape(-1, x.shape[-1])
  mean = lambda spacing: jnp.exp(2j * jnp.pi * values / spacing).mean(0)
  length = jnp.abs(jax.lax.map(mean, spacing))                               # [candidates, G]
  best = jnp.clip(length.argmax(0), 1, CANDIDATES - 2)
  at = lambda a, k: jnp.take_along_axis(a, k[None], axis=0)[0]
  before, there, after = (at(length, best + k) for k in (-1, 0, 1))
  # The top of the parabola through the three, so that rounding can't make it jump.
  bend = jnp.minimum(before - 2 * there + after, -1e-6)
  top = jnp.clip((after - before) / (-2 * bend), -1, 1)
  spacing = at(spacing, best) + top * (at(spacing, best + 1) - at(spacing, best))
  return jnp.angle(mean(spacing)) / (2 * jnp.pi) * spacing, spacing


class GlobalLevel(nn.Module):
  """Reads the coordinates off the nodes of an image.

  Attributes:
    axes: G variables, of which each has two opposite actions. codes: N, of each.
    width: of the hidden layers. inner: channels that a position shows to its neighbours.
    grid: (H, W) of the nodes.
  """
  axes: int
  codes: int
  width: int
  inner: int
  grid: tuple[int, int]

  @nn.compact
  def __call__(self, nodes: jax.Array) -> Coordinates:
    """nodes: [B, H*W, n]."""
    b = nodes.shape[0]
    x = nn.LayerNorm(name='norm_nodes')(nodes).reshape(b, *self.grid, -1)
    x = nn.gelu(nn.Dense(self.inner, name='inner')(x))
    x = nn.gelu(nn.Dense(self.width, name='parts')(shifted_neighbours(x)))
    x = _Residual(self.width, name='parts_residual')(x)
    x = nn.gelu(nn.Dense(self.width, name='wholes')(x))
    # What is there, wherever it is; and where it is.
    what = jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], axis=-1)
    where = nn.gelu(nn.Dense(self.inner, name='where')(x)).reshape(b, -1)
    x = nn.gelu(nn.Dense(self.width, name='mix')(jnp.concatenate([what, where], axis=-1)))
    # No bias from here on: steps do not tell it, so rounding errors would be all that moves it.
    x = _Residual(self.width, use_bias=False, name='mix_residual')(x)
    values = SPREAD * nn.Dense(
        self.axes, name='coordinates', use_bias=False,
        kernel_init=nn.initializers.normal(.05))(x)
    offset = self.param('offset', nn.initializers.zeros, (self.axes,))
    spacing = self.param('spacing', nn.initializers.ones, (self.axes,))
    return Coordinates(to_codes(values, offset, spacing, self.codes), values, offset, spacing)


class _Residual(nn.Module):
  """x + MLP(x), normalised. x: [..., width]."""
  width: int
  use_bias: bool = True              # of the normalisation

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    h = nn.gelu(nn.Dense(self.width, name='hidden')(x))
    return nn.LayerNorm(use_bias=self.use_bias, name='norm')(
        x + nn.Dense(self.width, name='out')(h))
