"""The HTML report of a training or an evaluation: one file, no network, light and dark."""

from promolens_training.report.content import ReportContent
from promolens_training.report.write import write_report

__all__ = ["ReportContent", "write_report"]
