"""How good a ranking is and how far its scores can be trusted: measures in NumPy."""
