"""The page for people: every chain's state, counts over time, what changed, what is held."""

from promolens_crawler.report.content import ReportContent, report_content
from promolens_crawler.report.write import render_report, write_report

__all__ = ["ReportContent", "render_report", "report_content", "write_report"]
