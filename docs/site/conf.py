# SPDX-License-Identifier: BSD-2-Clause
"""Sphinx's configuration of the site: docs/site/website.py writes the sources."""
project = "Fairlead"
copyright = "the authors of Fairlead, BSD-2-Clause"  # noqa: A001
extensions = ["myst_parser"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]
smartquotes = False
highlight_language = "text"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme = "furo"
html_title = "Fairlead"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
toc_object_entries_show_parents = "hide"
