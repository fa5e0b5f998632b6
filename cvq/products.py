"""Matrix products and convolutions of rounded inputs: bfloat16 in, sums in float32.

All else stays float32: parameters, activations between layers, losses. A product for which the
model asks `Precision.HIGHEST` keeps its inputs: scores that compare codes.

The program is rewritten once JAX has traced it, because this alone reaches every product, those
of the gradient among them, on every device. `jax.default_matmul_precision('BF16_BF16_F32')` does
nothing for products on CPUs, nor for convolutions anywhere (jax 0.10); `dtype=bfloat16` of Flax
modules rounds activations and sums too; and a rounding within the model would leave the products
of its gradient in float32, since the derivative of a rounding is a rounding of the result.
"""

from __future__ import annotations

from typing import Any, Callable

import jax
from jax import lax
import jax.numpy as jnp
from jax.extend import core

_PRODUCTS = (lax.dot_general_p, lax.conv_general_dilated_p)


def rounded(function: Callable) -> Callable:
  """The same function of arrays, its products' float32 inputs rounded to bfloat16.

  It is not to be differentiated: round the gradient, not what it is the gradient of.
  """
  def run(*args):
    # A default that the user has set would pass for what the model asks.
    with jax.default_matmul_precision('default'):
      program, result = jax.make_jaxpr(function, return_shape=True)(*args)
    outputs = core.jaxpr_as_fun(_rewritten(program))(*jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(result), outputs)
  return run


def _rewritten(part: Any) -> Any:
  """A program, or a parameter of an operation that may hold programs: a branch, a loop's body."""
  if isinstance(part, core.ClosedJaxpr):
    return part.replace(jaxpr=_rewritten(part.jaxpr))
  if isinstance(part, (tuple, list)):
    return type(part)(map(_rewritten, part)) if any(map(_holds_programs, part)) else part
  if not isinstance(part, core.Jaxpr):
    return part
  operations = []
  for operation in part.eqns:
    params = {name: _rewritten(value) for name, value in operation.params.items()}
    operation = operation.replace(params=params)
    operations += _of_rounded_inputs(operation) if _is_rounded(operation) else [operation]
  return part.replace(eqns=operations)


def _holds_programs(part: Any) -> bool:
  return isinstance(part, (core.Jaxpr, core.ClosedJaxpr))


def _is_rounded(operation: core.JaxprEqn) -> bool:
  if operation.primitive not in _PRODUCTS:
    return False
  exact = operation.params['precision'] == (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
  return not exact and all(x.aval.dtype == jnp.float32 for x in operation.invars)


def _of_rounded_inputs(operation: core.JaxprEqn) -> list[core.JaxprEqn]:
  """The product behind a rounding of each of its inputs."""
  # XLA's CPU backend lacks some products of bfloat16: there float32 holds the rounded numbers.
  dtype = jnp.dtype(jnp.float32 if jax.default_backend() == 'cpu' else jnp.bfloat16)
  if dtype == jnp.float32:
    primitive, how = lax.reduce_precision_p, {'exponent_bits': 8, 'mantissa_bits': 7}
  else:
    primitive = lax.convert_element_type_p
    how = {'new_dtype': dtype, 'weak_type': False, 'sharding': None}
  roundings = [
      core.new_jaxpr_eqn([x], [core.Var(x.aval.update(dtype=dtype, weak_type=False))], primitive,
                         how, core.no_effects, operation.source_info) for x in operation.invars]
  params = operation.params | {'preferred_element_type': jnp.dtype(jnp.float32)}
  inputs = [rounding.outvars[0] for rounding in roundings]
  return [*roundings, operation.replace(invars=inputs, params=params)]
