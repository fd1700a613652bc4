"""What torch.nn.functional's losses reach."""

from __future__ import annotations

import numpy as np

from refgrad import nn

from .table import operation


def _loss(function):
    """A line for a loss of an input and a target, which broadcast, with torch's number for the reduction."""
    def line(x, target, reduction=1, *options):
        return function(*np.broadcast_arrays(x, target), reduction=REDUCTIONS[reduction], **dict(zip(names, options)))
    names = {nn.huber_loss: ("delta",), nn.smooth_l1_loss: ("beta",)}.get(function, ())
    return line


#: By torch's numbers.
REDUCTIONS = "none", "mean", "sum"

for _name in ("mse_loss", "huber_loss", "smooth_l1_loss", "soft_margin_loss"):
    operation(_name, _loss(getattr(nn, _name)))


@operation("binary_cross_entropy")
def _(x, target, weight=None, reduction=1):
    return nn.binary_cross_entropy(x, target, weight, reduction=REDUCTIONS[reduction])


@operation("binary_cross_entropy_with_logits")
def _(x, target, weight=None, pos_weight=None, reduction=1):
    return nn.binary_cross_entropy_with_logits(x, target, weight, reduction=REDUCTIONS[reduction],
                                               pos_weight=pos_weight)


@operation("nll_loss_forward", "nll_loss2d_forward")
def _(x, target, weight, reduction, ignore_index):
    return nn.nll_loss(x, target, weight, ignore_index=ignore_index, reduction=REDUCTIONS[reduction]), None


@operation("multi_margin_loss")
def _(x, target, p=1, margin=1, weight=None, reduction=1):
    return nn.multi_margin_loss(x, target, p, margin, weight, reduction=REDUCTIONS[reduction])


@operation("multilabel_margin_loss_forward")
def _(x, target, reduction):
    return nn.multilabel_margin_loss(x, target, reduction=REDUCTIONS[reduction]), None


@operation("_ctc_loss")
def _(logs, targets, lengths, target_lengths, blank=0, zero_infinity=False):
    return nn.ctc_loss(logs, targets, lengths, target_lengths, blank, "none", zero_infinity), None


# Distances.
operation("_cdist_forward", lambda a, b, p, mode: nn.cdist(a, b, p))
operation("_euclidean_dist", lambda a, b: nn.cdist(a, b))
operation("_pdist_forward", nn.pdist)
