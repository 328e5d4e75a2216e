"""The settings of the documentation site, which tests/docs/site.sh builds. Nothing here needs a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

project = "inference.fleet"
author = "the inference.fleet authors"
copyright = "2026, the inference.fleet authors, GPL-3.0-or-later"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
nitpicky = True
myst_heading_anchors = 3  # docs/*.md link to headings by the names that GitHub gives them
highlight_language = "none"  # code blocks that are highlighted name their language
smartquotes = False

html_theme = "alabaster"
html_title = html_short_title = project
html_show_sphinx = False
html_theme_options = {
    "description": "GPU servers as a private, OpenAI-compatible inference service",
    "page_width": "1300px",
    "sidebar_width": "280px",
    "body_max_width": "none",
    "font_family": "sans-serif",
    "head_font_family": "sans-serif",
    "font_size": "15px",
}

# What the generated pages refer to and this site does not have.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
ANSIBLE_PAGES = {
    "action_plugins": "plugins/action.html",
    "callback_plugins": "plugins/callback.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
OTHER_MODULE = re.compile(r"ansible_collections\.(?!inference\.)(\w+)\.(\w+)\.(\w+_module)")


def refer_to_ansible(_app: Any, _env: Any, reference: nodes.Element, text: nodes.Element) -> nodes.Element | None:
    """Link to Ansible's documentation; every other reference that has no target stays a warning."""
    target = reference["reftarget"]
    page = ANSIBLE_PAGES.get(target)
    if module := OTHER_MODULE.fullmatch(target):
        page = "collections/{}/{}/{}.html".format(*module.groups())
    return nodes.reference("", "", text, internal=False, refuri=f"{ANSIBLE}/{page}") if page else None


def setup(app: Any) -> None:
    app.connect("missing-reference", refer_to_ansible)
