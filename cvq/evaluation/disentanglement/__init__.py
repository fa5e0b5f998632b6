"""Disentanglement metrics: how a representation's columns and the true factors belong together.

Each is `metric(representation, factors, *, seed=0, ...) -> dict[str, float]`, on arrays alone:

- representation: [n, V] int codes or [n, D] floating latents; the dtype tells which. A code's id
  is a name: no metric reads an order or a distance into it, and none bins it.
- factors: [n, F] int, the number of each factor's true value.
- seed: of the draws of rows; the same seed gives the same scores.

Definitions and sample sizes are those of Locatello et al. 2019, 'Challenging Common Assumptions
in the Unsupervised Learning of Disentangled Representations', and for InfoMEC of Hsu et al. 2023,
'Disentanglement via Latent Quantization'. Input that can't be scored raises `UserError`.

At these sizes, for five factors like those of dSprites and one slow core: with 10 columns below
5 s each, but 10 to 25 s for DCI; with 256 columns some seconds, but up to 1 min for SAP, 2 min
for InfoMEC of latents and 6 min for DCI. `python -m benchmarks.metrics` measures it.
"""

import os

# Threads of OpenMP wait by spinning, unless told otherwise before scikit-learn loads it. Beside
# another busy process the trees of DCI take forty times as long then.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

from cvq.evaluation.disentanglement.beta_vae_score import beta_vae  # noqa: E402
from cvq.evaluation.disentanglement.dci_score import dci  # noqa: E402
from cvq.evaluation.disentanglement.factor_vae_score import factor_vae  # noqa: E402
from cvq.evaluation.disentanglement.infomec_score import infomec  # noqa: E402
from cvq.evaluation.disentanglement.intervals import bootstrap  # noqa: E402
from cvq.evaluation.disentanglement.irs_score import irs  # noqa: E402
from cvq.evaluation.disentanglement.mig_score import mig  # noqa: E402
from cvq.evaluation.disentanglement.modularity_score import modularity_explicitness  # noqa: E402
from cvq.evaluation.disentanglement.sap_score import sap  # noqa: E402

__all__ = ['beta_vae', 'bootstrap', 'dci', 'factor_vae', 'infomec', 'irs', 'mig',
           'modularity_explicitness', 'sap']
