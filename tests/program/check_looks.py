#!/usr/bin/env python3
"""Pages in a browser, used as people use them: the review, the rating, the chat; and what programs write to be looked at. Pictures: HONE_SCREENSHOTS=FOLDER."""
import json

from browser_program import PHONE, Browser, Verb, brightness, check_appearance, shot, wait_for
from hone_program import check, main

# "New chat", as soon as the third answer shows something: it must not be over by then.
PRESS_AT_THE_FIRST_WORDS = """new MutationObserver((changes, observer) => {
  if (!running || !document.querySelectorAll(".turn.assistant")[2]?.innerText.trim()) return;
  observer.disconnect();
  $("clear").click();
  window.pressed = true;
}).observe($("talk"), { childList: true, subtree: true, characterData: true })"""


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
    run = program.folder / "drawn"
    program.run("train", program.config("drawn.yaml", training__output_dir=run, training__max_steps=12, training__epochs=9, data__validation_share=0.2, training__eval_steps=4))
    page = browser.page((run / "loss.svg").as_uri())
    shot(page, "loss")
    boxes = page.evaluate("[...document.querySelectorAll('text')].filter(t => t.textContent.startsWith('●') || t.getAttribute('font-size') === '15').map(t => { const b = t.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; })")
    apart = lambda a, b: a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    check(len(boxes) == 4 and all(apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i]), f"title and names of lines do not overlap: {boxes}")


def everything(program):
    with Browser() as browser:
        for part in (review, rating, chat, reports):
            part(program, browser)


main(everything)
