# SPDX-License-Identifier: BSD-2-Clause
"""Sphinx's configuration of the site: docs/site/website.py writes the sources."""
import os

from sphinx import addnodes
from sphinx.domains.c import CDomain, CObject

project = "Fairlead"
copyright = "the authors of Fairlead, BSD-2-Clause"  # noqa: A001
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_html_meta = {"description": "Fairlead, a C11 library for concurrency on Linux: locks, queues, tasks on threads, in processes, on an event loop"}
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
templates_path = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")]


class Domain(CDomain):
    """The names of the reference, for the search: without the parameters of functions."""

    def get_objects(self):
        return (found for found in super().get_objects() if found[2] != "functionParam")


def setup(app):
    app.add_domain(Domain, override=True)
    # Sphinx's C domain leaves these two to others: each name of a page becomes an entry of the
    # page's contents.
    CObject._toc_entry_name = lambda self, signature: next(signature.findall(addnodes.desc_name)).astext()
    CObject._object_hierarchy_parts = lambda self, signature: (self._toc_entry_name(signature),)
