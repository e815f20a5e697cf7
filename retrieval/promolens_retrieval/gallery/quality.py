"""Whether a catalogue picture shows enough to be found by: the rule of all pictures."""

from __future__ import annotations

from promolens_runtime.quality import QualityGate, quality_problem

__all__ = ["QualityGate", "quality_problem"]
