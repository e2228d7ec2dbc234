"""Options of a run beyond the paper's training (notebook 10), each in one place, off by default.

    inputs = replaced(ids, 0.15, keys)       # random tokens in place of 15 % of the inputs
    hidden = model.hidden(ids, None, masked(ids, keys))
    average = weight_average(model, spec)    # of the weights along the run
    teacher = teacher_of(spec, weights)      # a trained model whose predictions are learned too

Draws are hashes of a member's data seed, of a sequence's place in the run and of the position: the
same in any stack, on any number of devices and after a resume. Axes as in `model.decoder`.
"""

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from ieee_lib.config import RunSpec
from ieee_lib.model.decoder import StackedDecoder, hash32

WHICH, BY_WHAT, RATE, MASK = (2**28 * purpose for purpose in range(4))
"""Where each purpose's draws begin; contexts are shorter than 2^28."""

HIGHEST_RATE = 0.5
"""Largest share of a sequence's inputs that is masked; rates are uniform from 0."""


def replaced(ids: Tensor, share: float, keys: Tensor, vocab_size: int) -> Tensor:
    """Return ids (K, B, T) with a random share of the tokens replaced, uniform over all tokens.

    keys: (K, B), one a sequence, below 2^32.
    """
    n_position = ids.shape[-1]
    is_replaced = _draws(keys, n_position, WHICH) < share * 2**32
    return torch.where(is_replaced, _draws(keys, n_position, BY_WHAT) % vocab_size, ids)


def masked(ids: Tensor, keys: Tensor) -> Tensor:
    """Return which of ids (K, B, T) are masked, each sequence at a rate of its own.

    keys: (K, B), one a sequence, below 2^32.
    """
    rate = HIGHEST_RATE * _draws(keys, 1, RATE)  # times 2^32
    return _draws(keys, ids.shape[-1], MASK) < rate


def _draws(keys: Tensor, n: int, purpose: int) -> Tensor:
    """Return n draws of each key (K, B, n), uniform below 2^32."""
    place = hash32(purpose + torch.arange(n, device=keys.device))
    return hash32((keys[..., None] + place) % 2**32)


def weight_average(model: StackedDecoder, spec: RunSpec) -> AveragedModel | None:
    """Return the average of a stack's weights that a run keeps, still without any; or None."""
    if not (spec.ema or spec.mean_of_last):
        return None
    function = get_ema_multi_avg_fn(spec.ema) if spec.ema else get_swa_multi_avg_fn()
    average = AveragedModel(model, multi_avg_fn=function)
    average.requires_grad_(False)
    return average


def is_averaged(spec: RunSpec, step: int) -> bool:
    """Say whether a run's average takes the weights after a step: all, or the last epochs' ends."""
    if spec.ema:
        return True
    epochs_left, within = divmod(spec.n_step - step, spec.steps_per_epoch)
    return within == 0 and epochs_left < spec.mean_of_last


def teacher_of(spec: RunSpec, weights: dict[str, Tensor] | None) -> StackedDecoder | None:
    """Return the model whose weights (without member axis) teach a run, or None without any."""
    if weights is None:
        return None
    teacher = StackedDecoder(spec.model, seeds=[0], bf16=spec.precision == "bf16-products")
    teacher.start_from(weights)
    teacher.requires_grad_(False)
    return teacher
