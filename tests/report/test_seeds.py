"""Agreement between the graphs of two runs."""

import numpy as np
import pytest

from cvq import evaluate
from cvq.report import sections, seeds
from tests.report.conftest import SIZES


@pytest.mark.slow
def test_a_run_agrees_with_itself(toy):
  run, restored = evaluate.open_checkpoint(toy.config, str(toy.workdir), mode='report')
  m = sections.Material(run, restored.state, toy.config, SIZES)
  own = sections.mechanisms(m)[1]
  graph, mask = seeds._means(str(toy.workdir), m)
  np.testing.assert_allclose(graph, own['graph'], atol=1e-6)
  np.testing.assert_allclose(mask, own['mask_by_action'], atol=1e-6)
