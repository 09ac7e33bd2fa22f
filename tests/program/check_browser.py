#!/usr/bin/env python3
"""The pages in a browser, used as people use them: the panel of a run, the review, the rating, the chat. Pictures: HONE_SCREENSHOTS=FOLDER."""
import contextlib
import json
import sqlite3

from browser_program import PHONE, TOUCH, Browser, Verb, brightness, check_appearance, shot, wait_for
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

# "New chat", as soon as the third answer shows something: it must not be over by then.
PRESS_AT_THE_FIRST_WORDS = """new MutationObserver((changes, observer) => {
  if (!running || !document.querySelectorAll(".turn.assistant")[2]?.innerText.trim()) return;
  observer.disconnect();
  $("clear").click();
  window.pressed = true;
}).observe($("talk"), { childList: true, subtree: true, characterData: true })"""


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
        page.click("#stop")
        run.stop(expect=130, signal_number=None)
        wait_for(page, lambda: "has ended" in page.inner_text("#notice"), "the page says that the run has ended")
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


def person(page, name):
    page.fill("#name", name)
    page.press("#name", "Enter")
    page.wait_for_selector("#person", state="hidden")


def at_row(page, number, of=6):
    wait_for(page, lambda: page.inner_text("#progress").startswith(f"row {number} of {of} "), f"row {number}: {page.inner_text('#progress')}")


# A server that takes its time.
SLOW = "{ const ask = window.fetch; window.fetch = async (...words) => { await new Promise(done => setTimeout(done, 250)); return ask(...words); }; }"


def review(program, browser):
    rows = program.folder / "people.jsonl"
    texts = ["<img src=x onerror=alert(1)>", "第二个问题", "third", "fourth", "fifth", "sixth"]
    given = [{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"answer {i}"}]} for i, text in enumerate(texts)]
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given), encoding="utf-8")
    with Verb(program, "data", "review", rows, "--port", "0") as desk:
        ann, bob = (browser.page(desk.url) for _ in range(2))
        asked = []
        for page, name in ((ann, "ann"), (bob, "bob")):
            page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
            person(page, name)
            at_row(page, 1)
        area = "#fields textarea >> nth=1"
        check(ann.input_value("#fields textarea >> nth=0") == texts[0], "a row is shown as text, never as HTML")
        shot(ann, "review-row")
        ann.keyboard.press("a")
        at_row(ann, 2)
        # A changed text stays until it is saved or given up on purpose.
        ann.fill(area, "better")
        for way in ("#forward", "#back", "#open-row", "#accept"):
            ann.click(way)
            wait_for(ann, lambda: "save the edit" in ann.inner_text("#message"), f"{way} says that a text is not saved")
            check(ann.input_value(area) == "better", f"{way} loses an edit")
            ann.evaluate("document.getElementById('message').hidden = true")
            at_row(ann, 2)
        shot(ann, "review-edited")
        ann.click("#edit")
        at_row(ann, 3)
        ann.click("#back")
        at_row(ann, 2)
        check(ann.input_value(area) == "better" and "ann: edited" in ann.inner_text("#decided"), "the edit is there when one comes back")
        ann.fill(area, "worse")
        ann.keyboard.press("Escape")
        ann.keyboard.press("Escape")
        check(ann.input_value(area) == "better", "Esc gives a change up")
        ann.keyboard.press("n")
        at_row(ann, 3)
        ann.keyboard.press("r")
        wait_for(ann, lambda: "Say why" in ann.inner_text("#message"), "a rejection needs a reason")
        ann.keyboard.type("off topic")
        ann.keyboard.press("Enter")
        at_row(ann, 4)
        # Both decide at the same time; neither waits for the other.
        for _ in range(3):
            number = int(ann.inner_text("#progress").split()[1])
            ann.keyboard.press("a")
            bob.keyboard.press("a")
            if number < 6:
                at_row(ann, number + 1)
            at_row(bob, number - 2)
        wait_for(ann, lambda: ann.is_visible("#done"), "ann has decided about every row")
        bob.fill("#reason", "too short")
        bob.keyboard.press("Escape")
        for row in (4, 5):
            bob.click("#reject")
            at_row(bob, row + 1)
            bob.fill("#reason", "too short")
        bob.fill("#fields textarea >> nth=1", "six")
        bob.keyboard.press("Control+Enter")
        wait_for(bob, lambda: bob.is_visible("#done"), "bob has decided about every row")
        check("summary" not in asked and asked.count("next") >= 12, f"the way from row to row adds up no summary: {asked}")
        # Keys that are pressed while a decision is saved count for the rows that follow.
        cai = browser.page(desk.url)
        person(cai, "cai")
        at_row(cai, 1)
        cai.evaluate(SLOW)
        verdicts = []
        cai.on("request", lambda request: verdicts.append(request.post_data_json["verdict"]) if request.url.endswith("/api/decide") else None)
        for key in "aaaa" + "ku" * 4:
            cai.keyboard.press(key)
        wait_for(cai, lambda: len(verdicts) == 8 and cai.inner_text("#progress").startswith("row 1 of 6 "), f"four rows, and all of them taken back: {verdicts} {cai.inner_text('#progress')}")
        check(verdicts == ["accept"] * 4 + ["withdraw"] * 4, f"{verdicts}")
        wait_for(cai, lambda: not cai.evaluate("busy"), "the last call ends")
        cai.keyboard.press("r")
        cai.keyboard.press("a")  # typed as the reason: the rejection asks for one
        wait_for(cai, lambda: cai.input_value("#reason") == "a", "what follows a key that asks for more is text")
        ann.click("#open-summary")
        wait_for(ann, lambda: "Cohen's kappa" in ann.inner_text("#figures"), "the summary")
        check("ann\t6" in ann.inner_text("#figures") and "bob\t6" in ann.inner_text("#figures"), f"{ann.inner_text('#figures')}")
        shot(ann, "review-summary")
        eve = browser.page(desk.url)
        person(eve, "eve")
        at_row(eve, 1)
        check_appearance(eve, "review", "Next open", "下一条未决")
        desk.stop()
    out = program.folder / "kept.jsonl"
    report = json.loads(program.run("data", "review", rows, "--export", out, "--json"))
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    decided = {i: [("ann", a), ("bob", b)] for i, (a, b) in enumerate(zip(("accept", "edit", "reject", "accept", "accept", "accept"), ("accept", "accept", "accept", "reject", "reject", "edit")))}
    check((report["accepted"], report["edited"], report["rejected"], report["disputed"], report["open"]) == (1, 2, 0, 3, 0), f"{report}")
    for i, row in zip((0, 1, 5), found):
        check(sorted((e["reviewer"], e["verdict"]) for e in row.pop("review")) == decided[i], f"row {i + 1}")
        given[i]["messages"][1]["content"] = {1: "better", 5: "six"}.get(i, f"answer {i}")
        check(row == given[i], f"row {i + 1} was exported as {row}")
    check(len(found) == 3, f"{len(found)} rows were exported")


def rating(program, browser):
    folder = program.folder / "rated-eval"
    folder.mkdir()
    answers = {"base": "short {}", "tuned": "long {} with more"}
    for model, text in answers.items():
        lines = [{"where": f"rows.jsonl:{i}", "prompt": f"question {i}", "expected": "e", "answer": text.format(i), "key": "k", "question": str(i)} for i in range(1, 5)]
        (folder / f"answers-{model}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    orders, wanted = [], {}
    with Verb(program, "eval", "rate", folder, "--port", "0") as desk:
        for name in ("ann", "bob"):
            page = browser.page(desk.url)
            person(page, name)
            order = []
            for place in range(8):
                wait_for(page, lambda: page.inner_text("#progress").startswith(f"{place + 1} of 8 "), f"answer {place + 1}")
                check("tuned" not in page.content() and "base" not in page.content(), "a rater is told which model it is")
                text = page.inner_text(".text.answer")
                order.append(text)
                if place == 0 and name == "ann":
                    page.keyboard.press("Enter")
                    wait_for(page, lambda: "Rate all three" in page.inner_text("#message"), "one grade is not three")
                    shot(page, "rating-row")
                grades = [1 + (place + d) % 5 for d in range(3)]
                if place % 2:
                    for d, grade in enumerate(grades):
                        page.click(f".grade >> nth={d} >> button >> nth={grade - 1}")
                    page.click("#save")
                else:
                    for grade in grades:
                        page.keyboard.press(str(grade))
                    page.keyboard.press("Enter")
                wanted[name, text] = grades
            wait_for(page, lambda: page.is_visible("#done"), "everything is rated")
            orders.append(order)
        check(orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]), f"every rater has an order of his own: {orders}")
        page.click("#pairs")
        for place in range(4):
            wait_for(page, lambda: page.inner_text("#progress").startswith(f"{place + 1} of 4 "), f"pair {place + 1}")
            first = page.inner_text(".text.answer >> nth=0")
            page.click("#left" if first.startswith("long") else "#right")
        wait_for(page, lambda: page.is_visible("#done"), "every pair is compared")
        page.click("#single")
        wait_for(page, lambda: page.is_visible("#done"), "back to the answers")
        page.click("#back")
        wait_for(page, lambda: page.inner_text("#progress").startswith("8 of 8 "), "what was rated can be seen again")
        check([b.inner_text() for b in page.query_selector_all(".grade button[aria-pressed=true]")] == list(map(str, wanted["bob", orders[1][7]])), "with one's own grades")
        page = browser.page(desk.url)
        person(page, "eve")
        check_appearance(page, "rating", "Relevance", "相关性")
        wait_for(page, lambda: page.inner_text("#progress").startswith("1 of 8 "), "the first answer")
        page.evaluate(SLOW)
        page.evaluate("document.activeElement.blur()")  # which Enter would press
        for key in ("2", "3", "4", "Enter", "5", "4", "3", "Enter"):
            page.keyboard.press(key)
        wait_for(page, lambda: page.inner_text("#progress").startswith("3 of 8 "), f"grades typed during a save are those of the next answer: {page.inner_text('#progress')}")
        desk.stop()
    found = json.loads((folder / "people.json").read_text(encoding="utf-8"))
    early = [r for r in found["ratings"] if r["rater"] == "eve"]
    check(sorted((r["relevance"], r["fluency"], r["professionalism"]) for r in early) == [(2, 3, 4), (5, 4, 3)], f"{early}")
    found["ratings"] = [r for r in found["ratings"] if r["rater"] != "eve"]
    check(len(found["ratings"]) == 16 and len(found["preferences"]) == 4, f"{found}")
    for r in found["ratings"]:
        check([r["relevance"], r["fluency"], r["professionalism"]] == wanted[r["rater"], answers[r["model"]].format(r["item"])], f"{r}")
    check(all(p["winner"] == "tuned" for p in found["preferences"]), f"{found['preferences']}")


def chat(program, browser):
    with Verb(program, "serve", f"tiny={program.tiny_model()}", "--port", "0") as server:
        page = browser.page(server.url)
        wait_for(page, lambda: page.input_value("#model") == "tiny:latest", "the models are listed")
        sent, turns = [], lambda kind: [t.inner_text() for t in page.query_selector_all(f".turn.{kind}")]
        page.on("request", lambda request: sent.append(request.post_data_json) if request.url.endswith("/api/chat") else None)
        check_appearance(page, "chat-empty", "Ask something", "请提问")
        strange = browser.page(server.url, language="zh-TW", before="localStorage.setItem('language', 'de'); localStorage.setItem('theme', 'system')")
        wait_for(strange, lambda: "请提问" in strange.inner_text("body"), "what others have kept is passed over, and the browser's language counts")
        check(brightness(strange) > 200, "and the system's theme")

        def settings(length, temperature="0"):
            page.click("#open-settings")
            page.fill("#length", str(length))
            page.fill("#temperature", temperature)
            page.fill("#seed", "7")
            page.click("[data-close=settings]")

        settings(60, "1.5")
        page.evaluate("window.pieces = 0; new MutationObserver(() => ++window.pieces).observe(document.getElementById('talk'), { childList: true, subtree: true, characterData: true })")
        page.fill("#words", "then this")
        page.press("#words", "Enter")
        wait_for(page, lambda: page.inner_text("#send") == "Send" and page.query_selector(".turn.assistant .meta:not(:empty)"), "an answer")
        check(turns("user") == ["then this"] and "tokens" in turns("assistant")[0] and page.evaluate("window.pieces") > 10, f"it comes piece by piece: {page.evaluate('window.pieces')} {turns('assistant')}")
        answer = page.inner_text(".turn.assistant > div >> nth=0")
        check(answer.strip() and page.evaluate("messages.length") == 2, "and stays in the conversation")
        page.fill("#words", "<b>number</b>")
        page.press("#words", "Enter")
        wait_for(page, lambda: page.inner_text("#send") == "Send" and len(turns("assistant")) == 2, "a second answer")
        check([m["content"] for m in sent[-1]["messages"]] == ["then this", page.evaluate("messages[1].content"), "<b>number</b>"] and turns("user")[1] == "<b>number</b>", f"{sent[-1]}")
        shot(page, "chat-talk")

        # "New chat" while an answer comes: nothing of it gets into the new conversation.
        settings(100000, "1.5")
        page.evaluate(PRESS_AT_THE_FIRST_WORDS)
        page.fill("#words", "old words")
        page.press("#words", "Enter")
        wait_for(page, lambda: page.evaluate("window.pressed"), "New chat is pressed while an answer comes")
        check(not turns("assistant") and page.is_visible("#welcome"), "an empty conversation")
        wait_for(page, lambda: page.inner_text("#send") == "Send", "the answer is stopped")
        page.wait_for_timeout(300)
        check(not turns("assistant") and page.evaluate("messages.length") == 0, f"the old answer leaks: {turns('assistant')}")
        settings(8)
        page.fill("#words", "new words")
        page.press("#words", "Enter")
        wait_for(page, lambda: page.inner_text("#send") == "Send" and page.query_selector(".turn.assistant .meta:not(:empty)"), "an answer in the new conversation")
        check([m["content"] for m in sent[-1]["messages"]] == ["new words"] and turns("user") == ["new words"] and len(turns("assistant")) == 1, f"{sent[-1]}")
        page.click("#open-models")
        wait_for(page, lambda: "in memory" in page.inner_text("#rows"), "the model is in memory")
        shot(page, "chat-models")
        page.click("[data-close=models]")
        for i in range(8):
            page.fill("#words", f"line {i}\nof\nmany")
            page.press("#words", "Enter")
            wait_for(page, lambda: page.inner_text("#send") == "Send" and len(turns("assistant")) == i + 2, "more than the page is high")
        port = server.port
        server.stop()
    # The server is gone: the failure is in sight, and what was typed is not lost.
    page.fill("#words", "lost words")
    page.press("#words", "Enter")
    wait_for(page, lambda: page.query_selector(".turn.error button"), "a failure that says how to go on")
    shot(page, "chat-failure")
    place, around = page.query_selector(".turn.error").bounding_box(), page.query_selector("main").bounding_box()
    check(place["y"] >= around["y"] and place["y"] + place["height"] <= around["y"] + around["height"] + 1, f"it is in sight: {place} {around}")
    red = page.evaluate("[getComputedStyle(document.querySelector('.turn.error .meta')).color, getComputedStyle(document.querySelector('.turn.error')).color, getComputedStyle(document.querySelector('.turn.assistant .meta')).color]")
    check(red[0] == red[1] != red[2], f"it is not faint: {red}")
    check(page.input_value("#words") == "lost words" and page.evaluate("messages.length") == 18, "the question is in the box again, and not in the conversation")
    with Verb(program, "serve", f"tiny={program.tiny_model()}", "--port", str(port)) as server:
        page.click(".turn.error button")
        wait_for(page, lambda: page.inner_text("#send") == "Send" and len(turns("assistant")) == 10, "the question is asked again")
        check(page.query_selector(".turn.error") is None and turns("user").count("lost words") == 1 and page.input_value("#words") == "", f"{turns('user')}")
        check([m["content"] for m in sent[-1]["messages"]][-1] == "lost words" and len(sent[-1]["messages"]) == 19, f"with all that was said before: {len(sent[-1]['messages'])}")
        server.stop()


LINES = """selector => [...document.querySelectorAll(selector)].map(cell => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
})"""


def reports(program, browser):
    """What programs write for people to look at: the report of an evaluation, and the picture of a run."""
    files = [program.folder / f"said-{name}.jsonl" for name in ("base", "tuned", "references")]
    for file, text in zip(files, ("I cannot say anything about that. ", "Please open shop.example/refund and follow the steps. ", "Please open shop.example/refund and follow every step. ")):
        key = "references" if "references" in file.name else "prediction"
        file.write_text("".join(json.dumps({"id": str(i), key: [text * 6] if key == "references" else text * 6}) + "\n" for i in range(1, 9)), encoding="utf-8")
    folder = program.folder / "said"
    out = program.run("eval", "--predictions", files[1], "--against", files[0], "--references", files[2], "--name", "tuned", "--against-name", "base", "--report", folder, "eval.bootstrap_samples=50")
    check(out.startswith("tuned against base: BLEU ") and "better on 8 of 8 rows" in out.splitlines()[0], out)
    for size, name in (({"width": 1280, "height": 900}, "desk"), (PHONE, "phone")):
        page = browser.page((folder / "report.html").as_uri(), size=size)
        shot(page, f"report-{name}")
        check(page.inner_text(".result").startswith("tuned against base: BLEU ") and page.evaluate("document.querySelector('.result').getBoundingClientRect().top < innerHeight"), "the result comes first")
        check(page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), f"{name}: nothing sticks out sideways")
        lines = page.evaluate(LINES, ".rows th, .rows td:last-child")
        check(len(lines) >= 14 and set(lines) == {1}, f"{name}: heads and points stand in a line each: {lines}")
        check(max(page.evaluate(LINES, ".rows td:first-child")) <= 3, f"{name}: the names of rows can be read")
    page = browser.page((program.folder / "watched" / "loss.svg").as_uri())
    shot(page, "loss")
    boxes = page.evaluate("[...document.querySelectorAll('text')].filter(t => t.textContent.startsWith('●') || t.getAttribute('font-size') === '15').map(t => { const b = t.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; })")
    apart = lambda a, b: a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    check(len(boxes) == 4 and all(apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i]), f"title and names of lines do not overlap: {boxes}")


def everything(program):
    with Browser() as browser:
        for part in (panel, touched, long_runs, review, rating, chat, reports):
            part(program, browser)


main(everything)
