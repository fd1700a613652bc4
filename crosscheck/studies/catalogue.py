"""The list of all studies, in the order of the page."""

from .arrays import ARRAYS
from .checkers import CHECKERS
from .derivations import DERIVATIONS
from .faults import FAULTS
from .layers import LAYERS
from .memory import MEMORY
from .networks import NETWORKS
from .scaling import SCALING
from .speed import SPEED
from .throughput import THROUGHPUT
from .torch_on_trial import TORCH
from .training import TRAINING

STUDIES = (NETWORKS, TORCH, DERIVATIONS, LAYERS, FAULTS, CHECKERS, TRAINING, SCALING, SPEED, MEMORY,
           THROUGHPUT, ARRAYS)
