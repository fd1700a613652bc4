"""Random networks: what one is, how one is drawn, and the one interpreter that runs it."""

from .draw import Coverage as Coverage
from .draw import draw_networks as draw_networks
from .draw import network_of_id as network_of_id
from .draw import networks_from as networks_from
from .network import Network as Network
from .network import interpret as interpret
