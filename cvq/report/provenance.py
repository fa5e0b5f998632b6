"""What made a run and its report: versions, device, revision of the code."""

from __future__ import annotations

import importlib.metadata
import pathlib
import platform
import subprocess

import cvq
from cvq import parallel


def versions() -> dict[str, str]:
  """Versions of what the numbers depend on."""
  return {'cvq': cvq.__version__, 'python': platform.python_version()} | {
      name: importlib.metadata.version(name)
      for name in ('jax', 'flax', 'optax', 'numpy', 'scikit-learn')}


def device() -> str:
  """The device of this process, in words."""
  return f'{parallel.describe()}, {platform.machine()}, {platform.system()}'


def revision() -> str | None:
  """Commit of the repository that the package lies in, '+' where files differ; None without."""
  folder = pathlib.Path(cvq.__file__).resolve().parents[1]
  git = lambda *arguments: subprocess.run(
      ['git', '-C', str(folder), *arguments], text=True, capture_output=True, check=True,
      timeout=10).stdout.strip()
  try:
    commit, changed = git('rev-parse', '--short=12', 'HEAD'), git('status', '--porcelain')
  except (OSError, subprocess.SubprocessError):
    return None
  return commit + '+' * bool(changed)
