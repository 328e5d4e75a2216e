# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page: the fleet in a browser, with the inventory as its only state. docs/page.md describes it for its users."""
