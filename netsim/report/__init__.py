"""The report page, part by part: data, words, drawings, sections; `page` joins them."""

from netsim.report.page import compare, write

__all__ = ["compare", "write"]
