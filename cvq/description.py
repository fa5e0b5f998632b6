"""model.json: what a model must know of its dataset, so that it works without it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from cvq import files
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError


@dataclasses.dataclass(frozen=True)
class Description:
  """Shape of the images, (H, W, C), and the factors with the names of their values."""
  image_shape: tuple[int, int, int]
  space: FactorSpace

  @classmethod
  def of(cls, dataset: Any) -> Description:
    """The description of a `cvq.data.datasets.Dataset`."""
    return cls(tuple(dataset.images.image_shape), dataset.space)

  def to_json(self) -> dict:
    """Names of actions stand there for readers; they follow from the factors."""
    return {'image_shape': list(self.image_shape),
            'action_names': list(self.space.action_names),
            'factors': [{'name': factor.name, 'size': factor.size, 'kind': factor.kind,
                         'values': list(factor.values)} for factor in self.space.factors]}

  @classmethod
  def from_json(cls, value: dict) -> Description:
    """Inverse of `to_json`. Raises KeyError or TypeError where `value` is something else."""
    return cls(tuple(value['image_shape']),
               FactorSpace(tuple(Factor(**factor) for factor in value['factors'])))


def write(workdir: str, dataset: Any) -> None:
  """Writes WORKDIR/model.json; one process must call it."""
  files.write_json(pathlib.Path(workdir) / 'model.json', Description.of(dataset).to_json())


def read(workdir: str) -> Description | None:
  """What WORKDIR/model.json says, or None where an older run left none. Raises UserError."""
  path = pathlib.Path(workdir) / 'model.json'
  if not path.exists():
    return None
  try:
    return Description.from_json(json.loads(path.read_text()))
  except (ValueError, KeyError, TypeError, UserError) as error:
    raise UserError(f'{path} is damaged ({error}).\nMove it away; the next load opens the dataset '
                    'instead.') from error
