"""Planted faults: mistakes that people make in derivatives, put into every rule to see whether the checker notices."""
