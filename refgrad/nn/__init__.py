"""Layers and losses in closed form, with the names and signatures of torch.nn.functional."""

from .activations import elu as elu
from .activations import gelu as gelu
from .activations import leaky_relu as leaky_relu
from .activations import relu as relu
from .activations import sigmoid as sigmoid
from .activations import silu as silu
from .activations import softplus as softplus
from .activations import tanh as tanh
from .linear import linear as linear
from .losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .losses import cross_entropy as cross_entropy
from .losses import huber_loss as huber_loss
from .losses import kl_div as kl_div
from .losses import l1_loss as l1_loss
from .losses import mse_loss as mse_loss
from .losses import nll_loss as nll_loss
from .normalization import batch_norm as batch_norm
from .normalization import layer_norm as layer_norm
from .normalization import running_statistics as running_statistics
from .regularization import dropout as dropout
from .regularization import l2_penalty as l2_penalty
from .softmax import log_softmax as log_softmax
from .softmax import softmax as softmax
