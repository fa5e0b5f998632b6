"""A model card: what a model hub shows beside the weights. Every figure is of evaluation.json."""

from __future__ import annotations

from typing import Any

from cvq.errors import UserError
from cvq.api.interface import Facts


def write(facts: Facts, config: Any, evaluation: dict | None) -> str:
  """The card in Markdown, with the header of a model hub.

  Args:
    facts: of the model. config: of the run. evaluation: what evaluation.json holds.

  Raises:
    UserError: there is no evaluation, or it is of another step.
  """
  if evaluation is None:
    raise UserError('The run has no evaluation.json, from which a card takes its figures.\n'
                    'Evaluate it first: the command of the run with --mode=evaluate')
  if evaluation['step'] != facts.step:
    raise UserError(f'The model is of step {facts.step}, its evaluation.json of step '
                    f'{evaluation["step"]}.\nLoad that step, or evaluate this one.')
  return _CARD.format(
      name=config.dataset.name, dataset=facts.dataset, figures=_table(evaluation),
      size='x'.join(map(str, facts.image_shape)), grid='x'.join(map(str, facts.grid)),
      codebooks=facts.codebooks, codes=facts.codes, variables=facts.variables,
      actions=', '.join(facts.action_names), count=len(facts.action_names),
      first_action=facts.action_names[0], step=f'{facts.step:,}', seed=facts.seed,
      version=facts.version, split=evaluation['split'], splits=config.dataset.splits,
      pairs=f'{evaluation["retrieval"]["pairs"]:,}', weakest=_weakest(evaluation))


def _table(evaluation: dict) -> str:
  r, i, q = (evaluation[part] for part in ('retrieval', 'intervention', 'reconstruction'))
  rows = [
      ('Retrieval of the action, accuracy', f'{r["directed"]:.3f}',
       f'chance {r["chance"]:.3f}, majority {r["majority_directed"]:.3f}'),
      ('Retrieval of the factor, accuracy', f'{r["factor"]:.3f}',
       f'chance {r["chance_factor"]:.3f}, majority {r["majority_factor"]:.3f}'),
      ('Expected calibration error', f'{r["expected_calibration_error"]:.3f}', 'calibrated 0'),
      ('Image after an action, MSE', f'{i["mse"]:.4f}',
       f'copying the image {i["copy_mse"]:.4f}, reconstructing the true one '
       f'{i["reconstruction_mse"]:.4f}'),
      ('Image after an action, PSNR and SSIM', f'{i["psnr"]:.1f} dB, {i["ssim"]:.3f}',
       f'reconstruction {q["psnr"]:.1f} dB, {q["ssim"]:.3f}'),
      ('Reconstruction, MSE', f'{q["mse"]:.4f}', '')]
  return '\n'.join(['| figure | model | to compare with |', '| --- | --- | --- |',
                    *(f'| {" | ".join(row)} |' for row in rows)])


def _weakest(evaluation: dict) -> str:
  tested = {name: share for name, share in evaluation['retrieval']['per_action'].items()
            if share is not None}
  worst = sorted(tested, key=tested.get)[:2]
  return ' and '.join(f'{name} ({tested[name]:.3f})' for name in worst)


_CARD = """\
---
license: apache-2.0
library_name: cvq
tags:
- causal-representation-learning
- disentanglement
- vq-vae
- jax
datasets:
- {name}
---

# cvq on {dataset}

A multi-codebook VQ autoencoder with a causal-transition layer. It turns an image into discrete
codes, applies one of {count} actions to them, and tells which action led from one image to
another. Method: Gendron, Witbrock and Dobbie, *Disentanglement of Latent Representations via
(Sparse) Causal Interventions*, IJCAI 2023 (arXiv 2302.00869).

- Images: {size}, values in [0, 1].
- Codes: {variables} variables, {codebooks} codebooks of {codes} codes on a {grid} grid.
- Actions: {actions}.

## Use

```python
import cvq
model = cvq.load('model.safetensors')
codes = model.encode(images)
edited = model.intervene(images, '{first_action}')
ranked = model.retrieve(images, targets)
```

## Training

Dataset {dataset}, {splits} splits; {step} gradient steps, seed {seed}, cvq {version}. The model saw
pairs of images one action apart and the number of that action, never the values of factors. The
whole config is in the metadata of the safetensors file.

## Figures

{split} split, {pairs} transitions, actions levelled.

{figures}

## Limitations

- One run with one seed; the spread over seeds is not part of these figures.
- Trained on {dataset} alone: on other images its answers mean nothing, and it does not notice.
- Retrieved least well: {weakest}.
- The codes are what this model needs to predict interventions; they are not the factors.
- An action that leaves the range of a factor has no true result; the model draws something anyway.

## Licence

Code and weights: Apache 2.0. The dataset has its own licence.
"""
