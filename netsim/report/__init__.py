"""The report page, part by part: data, words, drawings, sections; `page` joins them."""

from netsim.report.page import compare, write
from netsim.report.terminal import in_words

__all__ = ["compare", "in_words", "write"]
