"""What the checks of the pages share: Debian's Chromium, driven by Playwright (from PyPI), and verbs that open a page."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from hone_program import Running, check
from python_environment import environment

PACKAGES = ["playwright==1.65.2"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
PHONE = {"width": 360, "height": 740}


class Verb(Running):
    """A verb whose page is at `url`."""
    first_lines = 1000
    patience = 60

    def __init__(self, program, *words):
        super().__init__(program, *words, drain=True)


class Browser:
    """One Chromium; every page gets a profile of its own. What goes wrong inside a page fails the check."""

    def __init__(self):
        if not shutil.which("chromium"):
            subprocess.run([ROOT / "scripts" / "setup.sh"], check=True)
        sys.path[:0] = map(str, (environment("browser", PACKAGES) / "lib").glob("python*/site-packages"))
        from playwright.sync_api import sync_playwright
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])  # which root has no use of
        self.wrong = []

    def page(self, url, size=None, language="en-US", before=None):
        """`before`: a script that runs before the page's own."""
        context = self._chromium.new_context(viewport=size or {"width": 1280, "height": 900}, locale=language, color_scheme="light")
        context.set_default_timeout(60000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(f"{url}: {error}"))
        page.on("console", lambda message: self.wrong.append(f"{url}: {message.text}") if "Security Policy" in message.text else None)
        if before:
            page.add_init_script(before)
        page.goto(url)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._chromium.close()
        self._playwright.stop()
        if failure[0] is None:
            check(not self.wrong, f"inside the pages: {self.wrong}")


def wait_for(page, condition, what, seconds=60):
    """Until `condition()` is true; the page's own events are handled meanwhile."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"did not happen in {seconds} s: {what}")
        page.wait_for_timeout(50)


def shot(page, name):
    """A picture of the page, for whoever asks for pictures: HONE_SCREENSHOTS=FOLDER."""
    if folder := os.environ.get("HONE_SCREENSHOTS"):
        page.wait_for_timeout(300)  # charts follow a little later
        page.screenshot(path=pathlib.Path(folder) / f"{name}.png")


def brightness(page):
    """Of the page's ground, 0 to 255."""
    return sum(map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3])) / 3


def check_appearance(page, name, english, chinese):
    """Both languages, both themes, kept when the page is loaded again; nothing sticks out sideways on a phone."""
    shot(page, f"{name}-light")
    seen = lambda text: wait_for(page, lambda: text in page.inner_text("body"), f"{name}: {text}")
    light = lambda when: wait_for(page, lambda: brightness(page) > 200, f"{name}: light {when}")
    dark = lambda when: wait_for(page, lambda: brightness(page) < 60, f"{name}: dark {when}")
    seen(english)
    light("at first")
    page.emulate_media(color_scheme="dark")
    dark("when the system is")
    page.click("#theme")
    light("when it is asked for")
    page.click("#theme")
    page.emulate_media(color_scheme="light")
    dark("when it is asked for")
    page.click("#language")
    seen(chinese)
    check(page.evaluate("document.documentElement.lang") == "zh-CN", f"{name}: the page says its language")
    shot(page, f"{name}-dark-zh")
    wide = page.viewport_size
    page.set_viewport_size(PHONE)
    page.reload()
    seen(chinese)
    dark("after loading again")
    for language in ("zh", "en"):
        shot(page, f"{name}-phone-{language}")
        reach = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        check(reach[0] <= PHONE["width"] and reach[1] == PHONE["width"], f"{name}, {language}: {reach} on a phone of {PHONE['width']}")
        page.click("#language")
    page.click("#language")
    page.click("#theme")
    page.set_viewport_size(wide)
    seen(english)
