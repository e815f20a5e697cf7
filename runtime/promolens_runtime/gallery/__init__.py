"""A gallery: embedded catalogue pictures that let a recogniser name products it never saw."""
