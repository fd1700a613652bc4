"""The vocabulary of random networks: every layer and loss, in the order of the tables."""

from . import affine as affine
from . import activations as activations
from . import norms as norms
from . import spatial as spatial
from . import sequences as sequences
from . import losses as losses
