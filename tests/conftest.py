"""Settings of all tests: CPU, and compilation that favours a quick start over quick code."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import jax  # noqa: E402

jax.config.update('jax_disable_most_optimizations', True)
