"""Opens a page in headless Chromium; run by .tools/playwright's Python.

look_at_page.py PAGE SCREENSHOTS  ->  one line of JSON: what the page did, view by view
"""

import json
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

VIEWS = {
    f"{width_name}-{scheme}": (width, scheme)
    for width_name, width in (("desktop", 1280), ("phone", 390))
    for scheme in ("light", "dark")
}
# Without these, Chromium itself asks for hosts of its maker.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def look(browser, page_path: Path, screenshot: Path, width: int, scheme: str) -> dict:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, device_scale_factor=1
    )
    page = context.new_page()
    said, requested = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(page_path.as_uri(), wait_until="networkidle")
    page.screenshot(path=str(screenshot), full_page=True)
    seen = page.evaluate(
        """() => ({
          charts: Object.fromEntries([...document.querySelectorAll("figure")].map((figure) => {
            const box = figure.querySelector("svg").getBoundingClientRect();
            return [figure.id, [box.width, box.height]];
          })),
          width: document.documentElement.scrollWidth,
          background: getComputedStyle(document.body).backgroundColor,
          ink: getComputedStyle(document.body).color,
          smallest: Math.min(...[...document.querySelectorAll("svg text")]
            .filter((text) => text.textContent.trim())
            .map((text) => text.getBoundingClientRect().height)
            .filter((height) => height > 0)),
        })"""
    )
    context.close()
    return {**seen, "said": said, "requested": requested}


def main() -> None:
    page, screenshots = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=sys.argv[3], args=["--no-sandbox", *QUIET]
        )
        seen = {
            name: look(browser, page, screenshots / f"{name}.png", width, scheme)
            for name, (width, scheme) in VIEWS.items()
        }
        browser.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
