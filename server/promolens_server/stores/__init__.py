"""The nearest stores, through a chain of providers."""
