"""The program promolens."""
