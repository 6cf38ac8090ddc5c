"""What a browser would send of a page's form, from its HTML alone."""

from __future__ import annotations

from html.parser import HTMLParser


class Fields(HTMLParser):
    """Names and values of all controls of all forms, as they stand on the page; buttons are not sent."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.select = self.text = ""
        self.options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "input" and name and (kind not in ("checkbox", "radio") or "checked" in given):
            self.found.setdefault(name, []).append(given.get("value", "on" if kind == "checkbox" else ""))
        elif tag == "select":
            self.select, self.options = name, []
        elif tag == "option" and self.select:
            self.options.append((given.get("value", ""), "selected" in given))
        elif tag == "textarea":
            self.text = name
            self.found[name] = [""]

    def handle_data(self, data: str) -> None:
        if self.text:
            self.found[self.text][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.text:
            # A line break right after the tag is not part of the text.
            self.found[self.text] = [self.found[self.text][0].removeprefix("\n")]
            self.text = ""
        elif tag == "select" and self.select:
            chosen = [value for value, selected in self.options if selected] or [self.options[0][0]]
            self.found[self.select] = chosen
            self.select = ""


def fields_of(page: str, holding: str) -> dict[str, list[str]]:
    """The controls of the form that holds a control of this name."""
    for form in page.split("<form")[1:]:
        fields = Fields()
        fields.feed("<form" + form.partition("</form>")[0])
        if holding in fields.found:
            fields.found.pop("csrfmiddlewaretoken", None)
            return fields.found
    raise AssertionError(f"No form of this page has {holding}.")
