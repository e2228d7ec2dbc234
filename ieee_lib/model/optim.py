"""AdamW and Muon for a stack: one step moves every member by its own lr, decay and clipping.

Member k moves exactly as `torch.optim.AdamW(lr=lr[k], weight_decay=wd[k])` would move it alone
after `clip_grad_norm_` (Sec. 2): a step shrinks decayed weights by lr_t * wd.

    optimizer = StackedAdamW(model, lr=[3e-3, 1e-3], wd=[0.1, 1.6])
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

NOT_DECAYED: dict[str, tuple[str, ...]] = {
    "paper": ("norm", "embedding"),
    "no_head": ("norm", "embedding", "lm_head"),
    "all": (),
}
"""Decay mask (`RunSpec.decay_mask`) -> words in the names of parameters that do not decay.

`paper` is Levanter's mask: everything decays but norms and what has "Embedding" in its path."""


def decayed_names(model: nn.Module, mask: str) -> set[str]:
    """Return the names of the parameters that decay under a mask of `NOT_DECAYED`."""
    words = NOT_DECAYED[mask]
    return {name for name, _ in model.named_parameters() if not any(w in name for w in words)}


def warmup_cosine(n_step: int, warmup_fraction: float) -> Callable[[int], float]:
    """Return step -> factor on the peak lr: linear from 0, then cosine to 0 (Sec. 2)."""
    n_warmup = int(n_step * warmup_fraction)

    def factor(step: int) -> float:
        if step < n_warmup:
            return step / n_warmup
        return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_step - n_warmup)))

    return factor


class _Member(NamedTuple):
    """One member's slices of all parameters and of their moments; views, in one order."""

    weights: list[Tensor]
    exp_avg: list[Tensor]
    exp_avg_sq: list[Tensor]
    step: list[Tensor]
    """Step counts, which all members share."""


class StackedAdamW(torch.optim.Optimizer):
    """Move parameters (K, ...) by AdamW, with lr and wd per member.

    A group's `lr` is the factor that a scheduler moves, 1 at the peak. Each member's slices go
    through the kernel of `torch.optim.AdamW(fused=True)`, many parameters in one call; the kernel
    also divides gradients by how far that member's norm exceeds `clip_norm`.
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
    ) -> None:
        names, parameters = zip(*model.named_parameters(), strict=True)
        super().__init__(parameters, {"lr": 1.0})
        self.lr, self.wd = list(lr), list(wd)
        self.beta1, self.beta2, self.eps, self.clip_norm = beta1, beta2, eps, clip_norm
        decayed = decayed_names(model, decay_mask)
        self.decayed = [i for i, name in enumerate(names) if name in decayed]
        """Indices of the parameters that decay."""
        self.undecayed = [i for i, name in enumerate(names) if name not in decayed]
        for parameter in parameters:
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    @torch.no_grad()
    def step(self, closure=None):
        """Run the closure with gradients, move every member by one step, return the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        parameters = self.param_groups[0]["params"]
        gradients = [p.grad for p in parameters]
        norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)  # (K,)
        excess = ((norm + 1e-6) / self.clip_norm).clamp(min=1.0)  # (K,)
        torch._foreach_add_([self.state[p]["step"] for p in parameters], 1)
        slices = [g.unbind() for g in gradients]
        for k in range(len(self.lr)):
            lr = self.lr[k] * self.param_groups[0]["lr"]
            self._move(k, [g[k] for g in slices], excess[k], lr, self.wd[k])
        return loss

    def _move(self, k: int, gradients: list[Tensor], excess: Tensor, lr: float, wd: float) -> None:
        """Move member k by one step; its gradients are to be divided by `excess`."""
        self._adamw(k, self.undecayed, gradients, excess, lr, 0.0)
        self._adamw(k, self.decayed, gradients, excess, lr, wd)

    def _adamw(
        self,
        k: int,
        indices: list[int],
        gradients: list[Tensor],
        excess: Tensor,
        lr: float,
        wd: float,
    ) -> None:
        """Move some of member k's parameters by AdamW."""
        if not indices:
            return
        member = self._members[k]
        torch._fused_adamw_(
            [member.weights[i] for i in indices],
            [gradients[i] for i in indices],
            [member.exp_avg[i] for i in indices],
            [member.exp_avg_sq[i] for i in indices],
            [],
            [member.step[i] for i in indices],
            lr=lr,
            weight_decay=wd,
            beta1=self.beta1,
            beta2=self.beta2,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=excess,
        )

    @cached_property
    def _members(self) -> list[_Member]:
        parameters = self.param_groups[0]["params"]
        states = [self.state[p] for p in parameters]
        return [
            _Member(
                weights=[p.detach()[k] for p in parameters],
                exp_avg=[state["exp_avg"][k] for state in states],
                exp_avg_sq=[state["exp_avg_sq"][k] for state in states],
                step=[state["step"] for state in states],
            )
            for k in range(len(self.lr))
        ]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load moments and step counts, onto the devices of their parameters."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():  # torch leaves it where it was read
            state["step"] = state["step"].to(parameter.device)
        for name in ("_members", "_muons"):  # views of the moments before
            self.__dict__.pop(name, None)


class StackedMuon(StackedAdamW):
    """Move the blocks' matrices by torch's Muon; embedding, lm_head and norms by AdamW.

    Updates have the size of AdamW's (`match_rms_adamw`), so lr and wd mean the same. The first
    moment is Muon's momentum, the second is not used. Queries, keys and values are one matrix here,
    and so are gate and up.
    """

    def __init__(self, model: nn.Module, **options: Any) -> None:
        super().__init__(model, **options)
        self.matrices = [
            i
            for i, (name, parameter) in enumerate(model.named_parameters())
            if name.startswith("blocks.") and min(parameter.shape[1:]) > 1
        ]
        self.decayed = [i for i in self.decayed if i not in self.matrices]
        self.undecayed = [i for i in self.undecayed if i not in self.matrices]

    def _move(self, k: int, gradients: list[Tensor], excess: Tensor, lr: float, wd: float) -> None:
        super()._move(k, gradients, excess, lr, wd)
        muon = self._muons[k]
        muon.param_groups[0].update(lr=lr, weight_decay=wd)
        for i, view in zip(self.matrices, muon.param_groups[0]["params"], strict=True):
            view.grad = gradients[i] / excess
        muon.step()

    @cached_property
    def _muons(self) -> list[torch.optim.Muon]:
        """Return a Muon a member, on its slices of parameters and first moments."""
        muons = []
        for member in self._members:
            views = [nn.Parameter(member.weights[i], requires_grad=False) for i in self.matrices]
            muons.append(torch.optim.Muon(views, adjust_lr_fn="match_rms_adamw"))
            for i, view in zip(self.matrices, views, strict=True):
                muons[-1].state[view]["momentum_buffer"] = member.exp_avg[i]
        return muons
