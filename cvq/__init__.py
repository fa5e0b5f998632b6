"""cvq: causal representation learning with vector-quantized autoencoders, in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = '0.1.0'
__all__ = ['load', 'load_exported']

if TYPE_CHECKING:
  from cvq.api.exported import load_exported
  from cvq.api.model import load


def __getattr__(name: str) -> Any:
  """Imports on first use: JAX takes seconds, and an exported model needs no training code."""
  if name == 'load':
    from cvq.api.model import load
    return load
  if name == 'load_exported':
    from cvq.api.exported import load_exported
    return load_exported
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
