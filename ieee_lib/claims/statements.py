"""What the paper says that a run can test, with the criterion of each, written before any run.

STATEMENTS["overfits"].criterion, STATEMENTS["overfits"].version

`heuristic_gains_in_limit_only` is ours, no statement of the paper: seen in the laptop's records.

A criterion that turned out to be wrong is replaced, never edited: what it said before stays in
`earlier`, and its version counts them. The seal is a checksum of all of them, so that no text of
the past or present can change unnoticed (a test holds every seal).
"""

import hashlib
from dataclasses import dataclass

MARGIN = 0.02
"""Nats/token that do not matter: what seeds do to the paper's limits."""


@dataclass(frozen=True)
class Statement:
    """What the paper says, where, and when it counts as holding here."""

    statement: str
    section: str
    criterion: str
    """About the measure; a limit is an asymptote, a difference is in nats/token."""
    notebook: str
    """Where it is shown."""
    earlier: tuple[str, ...] = ()
    """What the criterion was in earlier versions, oldest first; LOG says why it changed."""

    @property
    def version(self) -> str:
        """Return the version of the criterion and its seal, such as v2-1f0c33ab."""
        texts = "\n".join([self.statement, *self.earlier, self.criterion])
        seal = hashlib.sha256(texts.encode()).hexdigest()[:8]
        return f"v{len(self.earlier) + 1}-{seal}"


STATEMENTS = {
    "overfits": Statement(
        "Too many epochs of the standard recipe overfit: validation loss rises again",
        "2.1", "loss at the most epochs minus the lowest at fewer > 0", "01",
        ("loss at the most epochs minus the lowest > 0",)),
    "memorizes": Statement(
        "Meanwhile the training loss keeps falling",
        "2.1", "training loss at the most epochs minus that at the best validation loss < 0", "01"),
    "standard_stalls": Statement(
        "The tuned standard recipe hardly gains from parameters",
        "2.1", "loss of the smallest model minus that of the largest < 0.1", "01"),
    "decay_is_large": Statement(
        "The best weight decay is several times the standard 0.1 at every N",
        "3", "smallest tuned decay over the models >= 0.4, every search certified", "02"),
    "decay_helps": Statement(
        "Tuned weight decay beats the tuned standard recipe at every N",
        "3", "smallest gain over the models > 0", "02"),
    "falls_with_size": Statement(
        "With tuned decay the loss falls at every step in N",
        "3", "largest change between neighbouring sizes < 0", "02"),
    "follows_power_law": Statement(
        "The regularized loss follows a power law in N",
        "3", f"chi-square below its 95 % point; a middle point {MARGIN} off would exceed it", "02",
        ("chi-square of the fit below its 95 % point",)),
    "limit_below_standard": Statement(
        "The regularized recipe's N → ∞ limit lies below the best standard loss",
        "3", "limit minus best standard loss < 0", "02"),
    "ensemble_below_regularized": Statement(
        "Infinitely many small models beat one infinitely large one",
        "4.1", "K → ∞ limit of one small model minus the regularized N → ∞ limit < 0", "03"),
    "small_beat_big": Statement(
        "K small members beat one tuned model of equal total size",
        "4.1", "K members minus the largest model, at <= 1.1 times its parameters < 0", "03"),
    "excess_is_one_over_k": Statement(
        "An ensemble's excess over its limit falls as 1/K",
        "4.1", "largest distance of the fitted exponent of K from 1, over all N < 0.25", "03",
        ("fitted exponent of K within 0.75 to 1.25 at every N (the farthest is shown)",)),
    "heuristic_helps": Statement(
        "Twice the epochs at half the decay: each member is worse, the limit is better",
        "4.2", "limit minus that of the single-optimal settings < 0, member loss rises", "03"),
    "heuristic_is_optimal": Statement(
        "No neighbour of that heuristic in epochs or decay has a lower limit",
        "4.2", f"lowest limit of its neighbours minus the heuristic's > -{MARGIN}", "03",
        ("lowest neighbour's limit minus the heuristic's: interval not below 0",
         f"every neighbour's limit minus the heuristic's > -{MARGIN} (lowest shown)",)),
    "heuristic_gains_in_limit_only": Statement(
        "At recorded budgets members at the single-model optimum beat the heuristic's; its gain is "
        "in the limit only",
        "4.2", "largest difference of their frontiers in training FLOPs, at budgets that both "
        "have, < 0; the heuristic's lowest limit minus the optimum's < 0", "03"),
    "either_seed_suffices": Statement(
        "Either new weights or a new order alone gives most of the gain",
        "4, Fig 16", "smaller share of the gain of a second member > 0.5", "03"),
    "limits_fall_with_size": Statement(
        "The K → ∞ limit falls at every step in N",
        "4.3", "largest change between neighbouring sizes < 0", "04"),
    "joint_below_regularized": Statement(
        "The joint limit lies below the regularized recipe's",
        "4.3", "joint limit minus regularized limit < 0", "04"),
    "best_ensemble_below_limit": Statement(
        "A finite ensemble already passes the regularized limit",
        "4.3", "lowest loss of all recorded ensembles minus the regularized limit < 0", "04",
        ("best measured ensemble minus the regularized limit < 0",)),
    "orders_agree": Statement(
        "The order of the two limits does not matter",
        "4.3", "K first minus N first: interval includes 0 and ends within 0.05 of it", "04",
        ("K first minus N first: interval includes 0, measure within 0.05",)),
    "regularized_saves_data": Statement(
        "The regularized limit saves data",
        "5", "data efficiency at the base D > 1", "05"),
    "ensemble_saves_data": Statement(
        "The ensemble limit of one small model saves data",
        "5", "data efficiency at the base D > 1", "05"),
    "joint_saves_data": Statement(
        "The joint limit saves data",
        "5", "data efficiency at the base D > 1", "05"),
    "recipes_are_ordered": Statement(
        "Joint beats regularized beats standard at every D",
        "5", "largest difference of neighbours in that order, over all D < 0", "05"),
    "efficiency_is_constant": Statement(
        "Data efficiency is similar at every D",
        "5.4", "fitted change of joint data efficiency over the ladder: a factor below 1.5", "05",
        ("largest over smallest joint data efficiency of the ladder < 1.5",)),
    "exponents_agree": Statement(
        "Regularized and standard laws in D have similar exponents",
        "5.4", "difference of bounded exponents: interval includes 0, ends within 0.1 of it", "05",
        ("difference of exponents: interval includes 0, measure within 0.1",
         "difference of exponents: interval includes 0 and ends within 0.1 of it",)),
    "student_keeps_gain": Statement(
        "One small student keeps most of its ensemble's gain",
        "6", "(single - student) / (single - ensemble) > 0.5", "06"),
    "self_distillation_helps": Statement(
        "A student of one model of its own size beats that model",
        "6", "student minus tuned single model < 0", "06"),
    "real_data_is_needed": Statement(
        "Without real data self-distillation gets worse",
        "6", "without real data minus with it > 0", "06"),
    "loss_predicts_error": Statement(
        "Lower loss goes with lower downstream error",
        "7.1", "rank correlation over all recipes > 0", "07"),
    "ensembles_help_downstream": Statement(
        "Ensembles err less downstream than the best single model",
        "7.1", "error of the best ensemble minus that of the best single model < 0", "07"),
    "epochs_help_midtraining": Statement(
        "Repeating a small target corpus helps continued pre-training",
        "7.2", "loss with repeats minus without < 0", "08"),
    "ensembles_help_midtraining": Statement(
        "An ensemble of continued models helps further",
        "7.2", "loss of K members minus that of one < 0", "08"),
    "midtraining_saves_data": Statement(
        "Together they save target data",
        "7.2", "data efficiency on the target > 1", "08"),
}  # fmt: skip
"""Every statement that a run can test, in the order of the paper."""
