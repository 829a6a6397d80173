"""What is wrong with a page: what hangs over its edge, and what axe finds."""

import os
from pathlib import Path

from tests.browser.conftest import Console

AXE = (Path(__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Set to a folder, it is filled with a picture of each page.
SHOTS = os.environ.get("QUEENSMTP_SHOTS")
WIDTHS = {"wide": 1280, "narrow": 390, "narrowest": 320}


def look(console: Console, name: str, path: str, *, theme: str) -> list[str]:
    """What is wrong with a page, each thing in one line."""
    console.open(path)
    return inspect(console, name, theme=theme)


def inspect(console: Console, name: str, *, theme: str) -> list[str]:
    """What is wrong with the page that the window shows."""
    page, found = console.page, []
    # The theme changes no width, so one theme tells; pictures are wanted of both.
    for width_name, width in WIDTHS.items() if SHOTS or theme == "light" else ():
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{name} hangs over at {width} px")
        if SHOTS and width != WIDTHS["narrowest"]:
            page.screenshot(path=f"{SHOTS}/{name}-{theme}-{width_name}.png", full_page=True)
    page.set_viewport_size({"width": WIDTHS["wide"], "height": 900})
    page.evaluate(AXE)
    report = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
    for problem in report["violations"]:
        places = ", ".join(str(node["target"]) for node in problem["nodes"][:3])
        found.append(f"{name} ({theme}): {problem['id']}: {problem['help']} at {places}")
    return found
