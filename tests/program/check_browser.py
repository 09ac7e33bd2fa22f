#!/usr/bin/env python3
"""The panel of a run in a browser, used as people use it. Pictures: HONE_SCREENSHOTS=FOLDER."""
import contextlib
import sqlite3

from browser_program import PHONE, TOUCH, Browser, Verb, check_appearance, shot, wait_for
from hone_program import check, main

NO_STORAGE = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });"
# Pixels of a canvas that are drawn at all, and those in the colour of a line.
PIXELS = """(canvas, name) => {
  const pen = document.createElement("canvas").getContext("2d"), data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data;
  let drawn = 0, line = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3]) { ++drawn; line += Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12; }
  return [drawn, line];
}"""

def figure(page, name):
    return page.inner_text(f"#figures .figure:has(span:text-is('{name}')) b")


def shown(page, value):
    """A number as the page writes it."""
    return page.evaluate("value => number(value)", value)


def drawn(page):
    """Every chart has drawn what it has."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    wait_for(page, lambda: page.evaluate("!scheduled && charts.every(c => !c.pending)"), "the charts follow")


def charts_are_drawn(page, what):
    drawn(page)
    for i, canvas in enumerate(page.query_selector_all("#charts canvas")):
        line = "--two" if i not in (1, 5) else page.evaluate("i => charts[i].series[0].color", i)
        points, colored = canvas.evaluate(PIXELS, line)
        check(points > 1000 and colored > 20, f"{what}: chart {i} is empty: {points} points, {colored} of the line")


def place(page, chart):
    """Where a chart's plot is, scrolled to."""
    plot = page.query_selector_all(".u-over")[chart]
    plot.scroll_into_view_if_needed()
    return plot.bounding_box()


def drag(page, chart, left, right):
    """Over the part of a chart's width from `left` to `right`."""
    box = place(page, chart)
    page.mouse.move(box["x"] + box["width"] * left, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * right, box["y"] + 60, steps=4)
    page.mouse.up()
    drawn(page)


def panel(program, browser):
    folder = program.folder / "watched"
    with Verb(program, "train", program.config("watched.yaml", training__output_dir=folder, training__epochs=5000, data__validation_share=0.2, training__eval_steps=20), "--panel", "0") as run:
        # Without the token, or with a wrong one, nothing is controlled.
        page = browser.page(run.url.partition("/#")[0])
        wait_for(page, lambda: page.query_selector(".figure") and figure(page, "State") == "running", "the run is shown")
        check(page.is_hidden("#control"), "a page without the token shows no buttons")
        check(page.evaluate("fetch('/api/stop', { method: 'POST' }).then(answer => answer.status)") == 403, "a stop without the token is refused")
        wrong = browser.page(run.url[:-4] + "none")
        wrong.on("dialog", lambda dialog: dialog.accept())
        wrong.click("#stop")
        wait_for(wrong, lambda: "did not take this" in wrong.inner_text("#notice"), "a stop with a wrong token is refused")
        check(run.process.poll() is None, "the run goes on")

        page = browser.page(run.url, before=NO_STORAGE)
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("#pause")
        wait_for(page, lambda: figure(page, "State") == "paused", "the run is paused")
        wait_for(page, lambda: page.inner_text("#pause") == "Go on", "the button says what it does now")
        lines = [m for m in program.metrics(folder) if "loss" in m]
        wait_for(page, lambda: page.evaluate("data.x.length") == len(lines), f"the page shows all {len(lines)} steps")
        for mine, theirs in {"x": "step", "loss": "loss", "smoothed": "smoothed_loss", "grad": "grad_norm", "rate": "learning_rate", "speed": "tokens_per_second", "memory": "memory"}.items():
            check(page.evaluate(f"data.{mine}") == [m[theirs] for m in lines], f"{theirs} on the page is not that of metrics.jsonl")
        drawn(page)
        last = lines[-1]
        legend = page.inner_text("#charts .top >> nth=0")
        check(all(name in legend for name in ("each step", "smoothed")) and ("validation" in legend) == any("validation_loss" in m for m in program.metrics(folder)), f"every line is named: {legend}")
        for name, value in {"Loss": last["loss"], "smoothed": last["smoothed_loss"], "Gradient norm": last["grad_norm"], "Learning rate": last["learning_rate"], "Tokens per second": last["tokens_per_second"]}.items():
            check(figure(page, name) == shown(page, value), f"{name}: {figure(page, name)}, expected {shown(page, value)}")
        check(figure(page, "Step").startswith(f"{last['step']} / "), f"{figure(page, 'Step')}")
        charts_are_drawn(page, "live")
        drag(page, 0, 0.3, 0.6)
        zoomed = page.evaluate("charts[0].range")
        check(zoomed and all(r == zoomed for r in page.evaluate("charts.slice(0, 4).map(c => c.range)")), "dragging zooms all charts over steps")
        steps = lines[-1]["step"] - lines[0]["step"]
        check(abs((zoomed[1] - zoomed[0]) / steps - 0.3) < 0.02 and page.evaluate("charts[1].u.scales.x.min") == zoomed[0], f"by as much as was dragged: {zoomed} of {steps}")
        said = page.inner_text(".read >> nth=0")
        nearest = next(m for m in lines if said.startswith(f"Step {m['step']}: "))
        check(f"each step {shown(page, nearest['loss'])} · smoothed {shown(page, nearest['smoothed_loss'])}" in said, f"the values under the pointer are those of metrics.jsonl: {said}, {nearest}")
        check(page.inner_text(".read >> nth=1").startswith(f"Step {nearest['step']}: Gradient norm {shown(page, nearest['grad_norm'])}"), "and in the other charts, too")
        box = place(page, 0)
        page.mouse.dblclick(box["x"] + 200, box["y"] + 60)
        wait_for(page, lambda: page.evaluate("charts[0].range") is None and page.is_disabled("#whole"), "a double click shows everything again")
        drag(page, 1, 0.7, 0.2)
        check(page.evaluate("charts[0].range") is not None, "dragging to the left zooms, too")
        page.click("#whole")
        check(page.evaluate("charts[0].range") is None, "the whole range again")
        shot(page, "panel-paused")
        page.click("#theme")
        page.click("#language")
        wait_for(page, lambda: figure(page, "损失") == shown(page, last["loss"]), "without storage, language and theme change too")
        page.click("#language")
        page.click("#pause")
        wait_for(page, lambda: figure(page, "State") == "running", "it goes on")
        held = []  # the answer to "stop" comes after the news that the run has ended
        page.route("**/api/stop", lambda route: held.append((route, route.fetch())))
        page.click("#stop")
        run.stop(expect=130, signal_number=None)
        wait_for(page, lambda: "has ended" in page.inner_text("#notice"), "the page says that the run has ended")
        wait_for(page, lambda: held, "the answer to stop is held back")
        for route, answer in held:
            route.fulfill(response=answer)
        page.wait_for_timeout(200)
        check("has ended" in page.inner_text("#notice"), f"the run's last word stays: {page.inner_text('#notice')}")
        check(len(program.losses(folder)) > len(lines), "and steps were made meanwhile")

    with Verb(program, "train", program.config("wild.yaml", training__output_dir=program.folder / "wild", training__epochs=5000, training__learning_rate=10), "--panel", "0") as run:
        page = browser.page(run.url)
        wait_for(page, lambda: page.query_selector(".alarm:not(.hint)"), "a learning rate far too high raises an alarm")
        words = page.inner_text("#alarms")
        check("training.learning_rate" in words and "bound" in words, f"the alarm says what to do: {words}")
        shot(page, "panel-alarm")
        run.process.kill()

    with Verb(program, "panel", "0") as history:
        page = browser.page(history.url)
        wait_for(page, lambda: page.query_selector(".figure"), "the newest run is shown")
        names = page.eval_on_selector_all("#run option", "options => options.map(o => o.value)")
        check(len(names) == 2 and page.query_selector(".alarm"), f"both runs are there: {names}")
        page.select_option("#run", names[1])
        wait_for(page, lambda: figure(page, "State") == "interrupted", "another run")
        page.select_option("#compare", names[0])
        wait_for(page, lambda: page.query_selector("#comparison table"), "two runs beside each other")
        # The gradients of a run that went wild are so large that the other's lie on the axis: both are seen with logarithms.
        page.query_selector_all("#charts button:text-is('log')")[1].click()
        charts_are_drawn(page, "history")
        shot(page, "panel-compared")
        page.select_option("#run", names[0])
        wait_for(page, lambda: page.inner_text("#comparison th >> nth=1") == names[0], "the table follows the run")
        page.select_option("#run", names[1])
        check_appearance(page, "panel", "Whole range", "全部范围")
        history.stop()


MILLION = 1_000_000
PEAKS = {"loss": (314_159, 77.0), "grad_norm": (271_828, 9.0)}


def million_run(program):
    """A run of a million steps in the history, its metrics by rule: what a step's value is, by name."""
    with contextlib.closing(sqlite3.connect(program.folder / "home" / "runs.db")) as db:
        db.execute("PRAGMA synchronous = OFF")
        values = {"loss": lambda s: 1 + s % 7 / 10, "smoothed_loss": lambda s: 1.25, "grad_norm": lambda s: 0.5 + s % 5 / 10}
        for name, value in values.items():
            db.executemany("INSERT INTO metrics VALUES ('million', ?, ?, ?)", ((s, name, value(s)) for s in range(1, MILLION + 1)))
        for name, (step, value) in PEAKS.items():
            db.execute("UPDATE metrics SET value = ? WHERE run = 'million' AND name = ? AND step = ?", (value, name, step))
        db.execute("INSERT INTO events VALUES ('million', 500000, 'rollback', 'back to step 499000', '2026-01-01T00:00:00Z')")
        db.execute("INSERT INTO runs SELECT 'million', kind, folder, config, 'done', '2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z', summary, 0 FROM runs WHERE kind = 'train' LIMIT 1")
        db.commit()
    return {name: lambda s, name=name, value=value: PEAKS[name][1] if name in PEAKS and s == PEAKS[name][0] else value(s) for name, value in values.items()}


# A million steps on the page itself, as after days of watching: how long it takes to draw them, to zoom, to take one more, and how many points are drawn.
MILLION_ON_THE_PAGE = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  const step = s => ({ step: s, loss: s === 314159 ? 77 : 1 + s % 7 / 10, smoothed_loss: 1.25, grad_norm: s === 271828 ? 9 : 0.5 + s % 5 / 10, learning_rate: 1e-4, tokens_per_second: 800, memory: 2e9 });
  data = Object.assign(empty(), { run: { id: "long", status: "done" }, settings: data.settings, steps: 1e6 });
  for (let s = 1; s <= 1e6; ++s) take_step(data, step(s));
  const times = {}, timed = async (what, action) => { const from = performance.now(); action(); await frame(); times[what] = Math.round(performance.now() - from); };
  const append = s => { take_step(data, step(s)); for (const c of charts) c.draw(); };
  charts[0].zoom(null);
  await timed("draw", build);
  const points = charts.map(c => c.u.data[0].length), has = charts[0].u.data[1].includes(77) && charts[1].u.data[1].includes(9);
  await timed("zoom", () => charts[0].zoom([314059, 314259]));
  const part = charts[0].u.data, inside = part[0].map((s, i) => [s, part[1][i]]).filter(([s]) => s >= 314059 && s <= 314259), still = charts[1].u.data;
  await timed("append out of sight", () => append(1000001));
  const untouched = charts[1].u.data === still;
  await timed("whole", () => charts[0].zoom(null));
  await timed("append", () => append(1000002));
  return { times, points, has, untouched, right: inside.length === 201 && inside.every(([s, loss]) => loss === step(s).loss), last: charts[1].u.scales.x.max, width: charts[0].u.bbox.width };
}"""


def long_runs(program, browser):
    expected = million_run(program)
    with Verb(program, "panel", "0") as history:
        page = browser.page(history.url)
        wait_for(page, lambda: page.query_selector("#run option[value=million]"), "the long run is listed")
        page.select_option("#run", "million")
        wait_for(page, lambda: page.evaluate("data.run.id") == "million", "a run of a million steps opens", 240)
        drawn(page)
        for chart, name in ((0, "loss"), (1, "grad_norm")):
            step, value = PEAKS[name]
            check(page.evaluate("([chart, step]) => { const d = charts[chart].u.data; return d[1][d[0].indexOf(step)]; }", [chart, step]) == value, f"the peak of {name} at step {step} is drawn")
        check(page.evaluate("charts.every(c => c.u.data[0].length < 10 * c.u.bbox.width)"), "few points are drawn")
        check(page.evaluate("marks()") == [{"step": 500000, "kind": "rollback", "bad": True}], "what happened is marked")
        shot(page, "panel-million")
        drag(page, 0, 0.31, 0.32)
        left, right = page.evaluate("charts[1].range")
        check(300_000 < left < 314_159 < right < 325_000, f"zoomed to {left}, {right}")
        x, loss, grad = page.evaluate("[data.x, data.loss, data.grad]")
        check(len(x) <= 2 ** 17 + 1 and x[0] == 1 and x[-1] == MILLION, f"{len(x)} points from {x[0]} to {x[-1]}")
        check(all(l == expected["loss"](s) and g == expected["grad_norm"](s) for s, l, g in zip(x, loss, grad)), "every point is that of its step")
        drag(page, 0, 0.2, 0.4)
        said = page.inner_text(".read >> nth=0")
        step = int(said.split()[1].rstrip(":"))
        check(step in x and f"each step {shown(page, expected['loss'](step))}" in said, f"values under the pointer: {said}")
        found = page.evaluate(MILLION_ON_THE_PAGE)
        check(found["has"] and found["right"] and found["untouched"] and found["last"] == 1_000_002, f"{found}")
        check(all(n < 10 * found["width"] for n in found["points"]), f"{found}")
        check(all(ms < 5000 for ms in found["times"].values()), f"a million points hold the page up: {found['times']}")
        print("milliseconds with a million points:", found["times"])
        history.stop()


def touched(program, browser):
    """A phone: one finger selects, two stretch, a touch reads."""
    with Verb(program, "panel", "0") as history:
        page = browser.page(history.url, size=PHONE, language="zh-CN", **TOUCH)
        wait_for(page, lambda: page.evaluate("charts.length > 0 && data.x.length > 9"), "a run is shown")
        drawn(page)
        check(page.inner_text("#whole") == "全部范围" and "双指" in page.inner_text(".read >> nth=0"), "in the browser's language, with a word for fingers")
        device = page.context.new_cdp_session(page)
        first, last = page.evaluate("charts[0].extent()")

        def touch(box, kind, *places):
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": box["x"] + x, "y": box["y"] + 60, "id": i} for i, x in enumerate(places)]})

        def share():
            wait_for(page, lambda: page.evaluate("charts[1].range") is not None, "fingers zoom")
            left, right = page.evaluate("charts[1].range")
            return (right - left) / (last - first)

        box = place(page, 0)
        touch(box, "touchStart", 60)
        for x in range(70, 161, 10):
            touch(box, "touchMove", x)
        touch(box, "touchEnd")
        check(abs(share() - 100 / box["width"]) < 0.05, f"a finger selects what it went over: {share()} of the width")
        page.evaluate("$('whole').click()")
        wait_for(page, lambda: page.evaluate("charts[1].range") is None, "everything again")
        box = place(page, 0)
        touch(box, "touchStart", 80)
        touch(box, "touchStart", 80, 140)
        for d in range(5, 31, 5):
            touch(box, "touchMove", 80 - d, 140 + d)
        touch(box, "touchEnd")
        check(abs(share() - 0.5) < 0.1, f"two fingers stretch to twice the width: {share()}")
        drawn(page)
        shot(page, "panel-stretched")
        page.evaluate("$('whole').click()")
        box = place(page, 1)

        def read():  # a browser that still glides after a gesture takes a touch for its end
            page.touchscreen.tap(box["x"] + 100, box["y"] + 50)
            return "梯度范数" in page.inner_text(".read >> nth=1")

        wait_for(page, read, "a touch reads the values")
        history.stop()


def everything(program):
    with Browser() as browser:
        for part in (panel, touched, long_runs):
            part(program, browser)


main(everything)
