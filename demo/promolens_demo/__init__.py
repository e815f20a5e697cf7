"""Invented products, their pictures and photos."""
