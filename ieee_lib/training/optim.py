"""AdamW for a stack: one update for all members, each with its own lr, decay and clipping.

Member k moves exactly as `torch.optim.AdamW(lr=lr[k], weight_decay=wd[k])` would move it alone
after `clip_grad_norm_` (Sec. 2): a step shrinks decayed weights by lr_t * wd.

    optimizer = StackedAdamW(model, lr=[3e-3, 1e-3], wd=[0.1, 1.6])
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def decayed_names(model: nn.Module, mask: str) -> set[str]:
    """Return the names of the parameters that decay under a mask of `spec.DECAY_MASKS`.

    `paper` is Levanter's: everything but norms and what has "Embedding" in its path.
    """
    spared = {"paper": ("norm", "embedding"), "no_head": ("norm", "embedding", "lm_head")}
    words = spared.get(mask, ())
    return {name for name, _ in model.named_parameters() if not any(w in name for w in words)}


def warmup_cosine(n_step: int, warmup_fraction: float) -> Callable[[int], float]:
    """Return step -> factor on the peak lr: linear from 0, then cosine to 0 (Sec. 2)."""
    n_warmup = int(n_step * warmup_fraction)

    def factor(step: int) -> float:
        if step < n_warmup:
            return step / n_warmup
        return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_step - n_warmup)))

    return factor


class StackedAdamW(torch.optim.Optimizer):
    """AdamW over parameters (K, ...), with lr and wd per member.

    A group's `lr` is the factor that a scheduler moves, 1 at the peak; the members' own peak
    rates are tensors (K,), so that one compiled update serves every lr and wd.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lr: Sequence[float],
        wd: Sequence[float],
        decay_mask: str = "paper",
        beta1: float = 0.9,
        beta2: float = 0.95,
        eps: float = 1e-8,
        clip_norm: float = 1.0,
        compile: bool = False,
    ) -> None:
        decayed = decayed_names(model, decay_mask)
        named = dict(model.named_parameters())
        super().__init__(list(named.values()), {"lr": 1.0, "step": 0})
        device = next(iter(named.values())).device
        self.member_lr = torch.tensor(lr, dtype=torch.float32, device=device)[:, None]
        member_wd = torch.tensor(wd, dtype=torch.float32, device=device)[:, None]
        self.wd = [member_wd if n in decayed else torch.zeros_like(member_wd) for n in named]
        self.constants = (beta1, beta2, eps)
        self.clip_norm = clip_norm
        for parameter in named.values():
            self.state[parameter] = {
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        self.update = torch.compile(_update, dynamic=True) if compile else _update

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Run the closure with gradients, then move every member by one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        group["step"] += 1
        beta1, beta2, eps = self.constants
        parameters = group["params"]
        gradients = [p.grad.flatten(1) for p in parameters]
        norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)[:, None]  # (K, 1)
        clip = (self.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        rate = self.member_lr * (group["lr"] / (1 - beta1 ** group["step"]))
        root = torch.tensor(math.sqrt(1 - beta2 ** group["step"]))
        for parameter, gradient, wd in zip(parameters, gradients, self.wd, strict=True):
            state = self.state[parameter]
            self.update(
                parameter.view(len(clip), -1),
                gradient,
                state["exp_avg"].view(len(clip), -1),
                state["exp_avg_sq"].view(len(clip), -1),
                clip,
                1 - self.member_lr * group["lr"] * wd,
                rate,
                root,
                beta1,
                beta2,
                eps,
            )
        return loss


def _update(p, g, exp_avg, exp_avg_sq, clip, shrink, rate, root, beta1, beta2, eps) -> None:
    """Move one parameter (K, n) of all members; clip, shrink and rate are (K, 1).

    One parameter at a time: compiled once, this serves every shape, where a fused update of the
    whole list would take a compile of its own for each model.
    """
    g = g * clip
    exp_avg.lerp_(g, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    p.mul_(shrink).sub_(rate * exp_avg / (exp_avg_sq.sqrt() / root + eps))
