"""The part of the contract suite that reads an adapter's page for operators."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

QUALITY = ("done", "todo", "exempt")


class PageContract:
    """What must be written down; inherited through `gateway.testing.contract.AdapterContract`."""

    def test_page_names_every_setting(self, adapter: Any) -> None:
        """The operator's page knows every setting."""
        page = self._page(adapter)
        for name, setting in type(adapter).Settings.model_fields.items():
            assert f"`{name}`" in page, f"describe the setting `{name}` in the adapter's page"
            assert setting.description, f"give the setting {name} a Field(description=...)"

    def test_page_has_quality_list(self, adapter: Any) -> None:
        """The page says what is done, what is not, and why."""
        rows = re.findall(r"^- \[(\w+)\] (.+)$", self._page(adapter), re.MULTILINE)
        assert len(rows) >= 5, "add the quality list to the page: lines like `- [done] signature is verified`"
        for word, rest in rows:
            assert word in QUALITY, f"[{word}]: a line of the quality list begins with one of {', '.join(QUALITY)}"
            assert word != "exempt" or "(" in rest, f"{rest!r}: an exemption needs its reason in brackets"

    def _page(self, adapter: Any) -> str:
        path = Path(inspect.getfile(type(adapter))).with_name("README.md")
        assert path.exists(), f"write {path.name} beside the module: the page the operator sets the channel up from"
        return path.read_text("utf-8")
