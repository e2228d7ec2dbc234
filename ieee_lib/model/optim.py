"""AdamW for a stack: one update for all members, each with its own lr, decay and clipping.

Member k moves exactly as `torch.optim.AdamW(lr=lr[k], weight_decay=wd[k])` would move it alone
after `clip_grad_norm_` (Sec. 2): a step shrinks decayed weights by lr_t * wd.

    optimizer = StackedAdamW(model, lr=[3e-3, 1e-3], wd=[0.1, 1.6])
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn


def decayed_names(model: nn.Module, mask: str) -> set[str]:
    """Return the names of the parameters that decay under a `RunSpec.decay_mask`.

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

    A group's `lr` is the factor that a scheduler moves, 1 at the peak. Each member's slices go
    through the kernel of `torch.optim.AdamW(fused=True)`, all of its parameters in one call; the
    kernel also divides gradients by how far that member's norm exceeds `clip_norm`.
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
        decayed = decayed_names(model, decay_mask)
        named = dict(model.named_parameters())
        parameters = list(named.values())
        super().__init__(parameters, {"lr": 1.0})
        self.lr, self.wd = list(lr), list(wd)
        self.constants = {"beta1": beta1, "beta2": beta2, "eps": eps}
        self.clip_norm = clip_norm
        places = {
            kind: [i for i, n in enumerate(named) if (n in decayed) == kind] for kind in (0, 1)
        }
        self.places = {kind: own for kind, own in places.items() if own}
        """Which parameters do not decay (0), and which do (1)."""
        for parameter in parameters:
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Run the closure with gradients, then move every member by one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        parameters = group["params"]
        gradients = [p.grad for p in parameters]
        norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)  # (K,)
        excess = ((norm + 1e-6) / self.clip_norm).clamp(min=1.0)
        steps = [self.state[p]["step"] for p in parameters]
        torch._foreach_add_(steps, 1)
        slices = [g.unbind() for g in gradients]
        for k in range(len(self.lr)):
            own = [g[k] for g in slices]
            self._move(k, own, steps, excess[k], self.lr[k] * group["lr"], self.wd[k])
        return loss

    def _move(
        self, k: int, gradients: list[Tensor], steps: list[Tensor], excess: Tensor, lr, wd
    ) -> None:
        """Move member k by one step."""
        held = self._views[k]
        for decays, places in self.places.items():
            torch._fused_adamw_(
                [held[i][0] for i in places],
                [gradients[i] for i in places],
                [held[i][1] for i in places],
                [held[i][2] for i in places],
                [],
                [steps[i] for i in places],
                lr=lr,
                weight_decay=wd * decays,
                **self.constants,
                amsgrad=False,
                maximize=False,
                grad_scale=excess,
            )

    @cached_property
    def _views(self) -> list[list[tuple[Tensor, Tensor, Tensor]]]:
        """Member k's slice of every parameter and of its moments."""
        n_member = len(self.lr)
        return [
            [
                (p.detach()[k], self.state[p]["exp_avg"][k], self.state[p]["exp_avg_sq"][k])
                for p in self.param_groups[0]["params"]
            ]
            for k in range(n_member)
        ]

    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():  # torch leaves it where it was read
            state["step"] = state["step"].to(parameter.device)
        for name in ("_views", "_muons"):
            self.__dict__.pop(name, None)  # the moments are other tensors now


class StackedMuon(StackedAdamW):
    """torch's Muon for the matrices of the blocks, AdamW for embedding, lm_head and norms.

    Its updates have the size of AdamW's (`match_rms_adamw`), so lr and wd mean the same. The first
    moment is Muon's momentum, the second is not used. Queries, keys and values are one matrix here,
    and so are gate and up.
    """

    def __init__(self, model: nn.Module, **options) -> None:
        super().__init__(model, **options)
        named = list(model.named_parameters())
        self.matrices = [
            i for i, (n, p) in enumerate(named) if n.startswith("blocks.") and min(p.shape[1:]) > 1
        ]
        self.places = {
            kind: [i for i in own if i not in self.matrices] for kind, own in self.places.items()
        }

    def _move(self, k, gradients, steps, excess, lr, wd) -> None:
        super()._move(k, gradients, steps, excess, lr, wd)
        muon = self._muons[k]
        muon.param_groups[0].update(lr=lr, weight_decay=wd)
        for i, view in zip(self.matrices, muon.param_groups[0]["params"], strict=True):
            view.grad = gradients[i] / excess
        muon.step()

    @cached_property
    def _muons(self) -> list[torch.optim.Muon]:
        """A Muon a member, on its slices of parameters and first moments."""
        muons = []
        for held in self._views:
            views = [nn.Parameter(held[i][0], requires_grad=False) for i in self.matrices]
            muons.append(torch.optim.Muon(views, adjust_lr_fn="match_rms_adamw"))
            for i, view in zip(self.matrices, views, strict=True):
                muons[-1].state[view]["momentum_buffer"] = held[i][1]
        return muons
