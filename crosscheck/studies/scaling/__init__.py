"""How the cost of derivatives grows; see `study`."""
