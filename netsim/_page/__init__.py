"""The report page, part by part: data, words, drawings, sections. `netsim.report` joins them."""
