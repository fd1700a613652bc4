"""What torch.nn.functional's losses reach."""

from __future__ import annotations

import numpy as np

from refgrad import nn

from .table import operation


#: By torch's numbers.
REDUCTIONS = "none", "mean", "sum"


def _loss(function, *names):
    """A line for a loss of an input and a target, which broadcast; `names` are those of its last
    arguments."""
    return lambda x, target, reduction=1, *options: function(
        *np.broadcast_arrays(x, target), reduction=REDUCTIONS[reduction],
        **dict(zip(names, options)))


operation("mse_loss", _loss(nn.mse_loss))
operation("soft_margin_loss", _loss(nn.soft_margin_loss))
operation("huber_loss", _loss(nn.huber_loss, "delta"))
operation("smooth_l1_loss", _loss(nn.smooth_l1_loss, "beta"))


@operation("binary_cross_entropy")
def _(x, target, weight=None, reduction=1):
    return nn.binary_cross_entropy(x, target, weight, reduction=REDUCTIONS[reduction])


@operation("binary_cross_entropy_with_logits")
def _(x, target, weight=None, pos_weight=None, reduction=1):
    return nn.binary_cross_entropy_with_logits(x, target, weight, reduction=REDUCTIONS[reduction],
                                               pos_weight=pos_weight)


@operation("nll_loss_forward", "nll_loss2d_forward")
def _(x, target, weight, reduction, ignore_index):
    return nn.nll_loss(x, target, weight, ignore_index=ignore_index,
                       reduction=REDUCTIONS[reduction]), None


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
