#!/usr/bin/env python3
"""The pages for people: several reviewers at once, kill -9 in the middle, exports compared with what was decided."""
import http.client
import json
import re
import threading

from hone_program import Running, check, main


class Page(Running):
    """A verb that opens a page on some free port."""
    first_lines = 1

    def __init__(self, program, *words):
        super().__init__(program, *words, "--port", "0")

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        response = connection.getresponse()
        result = response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read()
        connection.close()
        return result

    def call(self, path, body, expect=200):
        status, _, data = self.ask("POST", path, body)
        check(status == expect, f"{path} {body}: {status}, expected {expect}: {data[:300]}")
        return json.loads(data)


def check_files(page, folder):
    status, headers, data = page.ask("GET", "/")
    check(status == 200 and "default-src 'self'" in headers["content-security-policy"], f"/: {status} {headers}")
    links = re.findall(r'(?:src|href)="([^"]+)"', data.decode())
    check(len(links) >= 4 and all(link.startswith("/web/") for link in links), f"{folder}: links {links}")
    for link in links:
        check(page.ask("GET", link)[0] == 200, f"{link} is missing")
    check(page.ask("GET", "/web/none.js")[0] == 404, "a file that is not there")
    check(page.ask("POST", "/api/summary", {}, {"Host": "evil.example"})[0] == 421, "another host is answered")
    check(page.ask("POST", "/api/summary", {}, {"Origin": "https://evil.example"})[0] == 403, "another origin is answered")
    check(page.ask("POST", "/api/summary", [])[0] == 400, "an array is taken for an object")


def decision_for(row, who):
    kind = (row * 7 + int(who[1:])) % 5
    return ("reject", "wrong") if kind == 0 else ("edit", "typo") if kind == 1 else ("accept", "")


def review(page, who, acknowledged, limit):
    """Decides about rows until there is none left, `limit` is reached or the server is gone."""
    try:
        for _ in range(limit):
            row = page.call("/api/next", {"reviewer": who})["row"]
            if row >= 60:
                return
            asked = page.call("/api/row", {"row": row, "reviewer": who})
            verdict, reason = decision_for(row, who)
            body = {"row": row, "key": asked["key"], "reviewer": who, "verdict": verdict, "reason": reason}
            if verdict == "edit":
                body["edits"] = {"/messages/1/content": f"better {row} by {who}"}
            page.call("/api/decide", body)
            acknowledged[who, row] = verdict
    except (OSError, http.client.HTTPException):
        pass  # the server was killed


def at_once(people, work):
    threads = [threading.Thread(target=work, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    return threads


def check_review(program):
    rows = program.rows("review.jsonl", count=60)
    before = rows.read_bytes()
    state = program.folder / "review.jsonl.review.db"
    people, acknowledged = ["p0", "p1", "p2"], {}
    page = Page(program, "data", "review", rows)
    check_files(page, "review")
    threads = at_once(people, lambda who: review(page, who, acknowledged, 1000))
    while len(acknowledged) < 40 and any(thread.is_alive() for thread in threads):
        threads[0].join(0.01)
    page.kill()
    for thread in threads:
        thread.join()
    check(state.exists(), "there is no state beside the file")

    page = Page(program, "data", "review", rows)
    for (who, row), verdict in acknowledged.items():
        own = page.call("/api/row", {"row": row, "reviewer": who})["own"]
        check(own and own["verdict"] == verdict, f"{who} decided {verdict} about row {row}, found {own}")
    for thread in at_once(people, lambda who: review(page, who, acknowledged, 1000)):
        thread.join()
    summary = page.call("/api/summary", {})
    check([r["decided"] for r in summary["reviewers"]] == [60, 60, 60], f"summary {summary['reviewers']}")
    check(len(summary["agreement"]["pairs"]) == 3 and summary["agreement"]["fleiss_kappa"] is not None, f"agreement {summary['agreement']}")
    asked = page.call("/api/row", {"row": 0, "reviewer": "p9"})
    check(asked["own"] is None and asked["others"] == [], "somebody who has not decided sees what others did")
    for bad in ({}, {"verdict": "reject"}, {"verdict": "maybe"}, {"verdict": "edit", "edits": {"/messages/1/content": ""}}, {"verdict": "edit", "edits": {"/none": "x"}}, {"key": "other", "verdict": "accept"}, {"row": 60, "verdict": "accept"}, {"reviewer": "", "verdict": "accept"}, {"reviewer": "a\nb", "verdict": "accept"}):
        error = page.call("/api/decide", {"row": 0, "key": asked["key"], "reviewer": "p9", **bad}, expect=400)
        check(error["error"], f"{bad}: no message")
    page.stop()

    out = program.folder / "reviewed.jsonl"
    report = json.loads(program.run("data", "review", rows, "--export", out, "--json"))
    wanted = []
    for i, line in enumerate(before.decode().splitlines()):
        verdicts = [decision_for(i, who)[0] for who in people]
        if verdicts.count("reject") < 2:
            wanted.append((i, json.loads(line), verdicts))
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    check(len(found) == len(wanted) == report["accepted"] + report["edited"], f"{len(found)} rows, expected {len(wanted)}: {report}")
    check(report["rejected"] == 60 - len(wanted) and report["open"] == 0, f"{report}")
    for (i, row, verdicts), got in zip(wanted, found):
        entries = got.pop("review")
        check(sorted((e["reviewer"], e["verdict"]) for e in entries) == sorted(zip(people, verdicts)), f"row {i}: {entries}")
        check(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", e["time"]) and (e["verdict"] == "accept" or e["reason"]) for e in entries), f"row {i}: {entries}")
        editors = [e["reviewer"] for e in entries if e["verdict"] == "edit"]
        if editors:
            row["messages"][1]["content"] = f"better {i} by {editors[-1]}"
        check(got == row, f"row {i}: {got}, expected {row}")
    check(rows.read_bytes() == before, "the input was touched")
    program.run("data", "stats", out)  # what was exported is read as rows
    check("exists already" in program.run("data", "review", rows, "--export", out, expect=2), "an output is replaced without --overwrite")
    check("is an input" in program.run("data", "review", rows, "--export", rows, "--overwrite", expect=2), "the input is an output")

    rows.write_bytes(before.replace(b"number 1", b"number one", 1))
    check("has changed since its review began" in program.run("data", "review", rows, "--export", out, "--overwrite", expect=2), "a changed file is taken")
    report = json.loads(program.run("data", "review", rows, "--export", out, "--overwrite", "--json", "--force"))
    check(report["set_aside"] == 3 and report["open"] == 1, f"{report}")


def grades(text):
    return {name: 1 + (len(text) + ord(text[-1]) + d) % 5 for d, name in enumerate(("relevance", "fluency", "professionalism"))}


def rate(page, who, acknowledged, pairwise):
    try:
        while True:
            next_one = page.call("/api/next", {"rater": who, "pairwise": pairwise})
            if next_one["position"] == next_one["of"]:
                return
            unit = page.call("/api/unit", {"rater": who, "pairwise": pairwise, "position": next_one["position"]})
            texts = unit["answers"]
            rating = {"winner": 0 if texts[0].startswith("tuned") else 1} if pairwise else grades(texts[0])
            page.call("/api/rate", {"rater": who, "pairwise": pairwise, "position": unit["position"], "content": unit["content"], **rating})
            acknowledged.add((who, *sorted(texts)))
    except (OSError, http.client.HTTPException):
        pass  # the server was killed


def check_rating(program):
    folder = program.folder / "model-eval"
    folder.mkdir()
    for model in ("base", "tuned"):
        with (folder / f"answers-{model}.jsonl").open("w", encoding="utf-8") as file:
            for i in range(1, 13):
                file.write(json.dumps({"where": f"rows.jsonl:{i}", "prompt": f"question {i}", "expected": "e", "answer": f"{model} says {i}", "key": "k", "question": str(i)}) + "\n")
    people, acknowledged, out = ["p0", "p1", "p2"], set(), folder / "people.json"
    page = Page(program, "eval", "rate", folder)
    check_files(page, "rating")
    threads = at_once(people, lambda who: rate(page, who, acknowledged, False))
    while len(acknowledged) < 20 and any(thread.is_alive() for thread in threads):
        threads[0].join(0.01)
    page.kill()
    for thread in threads:
        thread.join()
    json.loads(out.read_text(encoding="utf-8"))  # whole, whenever the end came

    page = Page(program, "eval", "rate", folder)
    kept = {(r["rater"], f"{r['model']} says {r['item']}") for r in json.loads(out.read_text(encoding="utf-8"))["ratings"]}
    check(acknowledged <= kept, f"lost: {acknowledged - kept}")
    for pairwise in (False, True):
        for thread in at_once(people, lambda who: rate(page, who, acknowledged, pairwise)):
            thread.join()
    seen = json.dumps([page.call("/api/summary", {}), page.call("/api/unit", {"rater": "p9", "pairwise": True, "position": 0})]).replace("tuned says", "").replace("base says", "")
    check("tuned" not in seen and "base" not in seen, f"a rater is told which model it is: {seen}")
    orders = {who: [page.call("/api/unit", {"rater": who, "position": i})["content"] for i in range(24)] for who in people}
    check(len({tuple(order) for order in orders.values()}) == 3 and len({tuple(sorted(order)) for order in orders.values()}) == 1, "raters share an order, or rate different answers")
    unit = page.call("/api/unit", {"rater": "p9", "position": 0})
    for bad in ({}, {"position": None}, {"relevance": 1, "fluency": 2}, {"relevance": 0, "fluency": 2, "professionalism": 3}, {"relevance": 6, "fluency": 2, "professionalism": 3}, {"pairwise": True}, {"pairwise": True, "winner": 2}, {"content": "x", **grades("ab")}, {"position": 24, **grades("ab")}):
        page.call("/api/rate", {"rater": "p9", "position": 0, "content": unit["content"], **bad}, expect=400)
    page.stop()

    found = json.loads(out.read_text(encoding="utf-8"))
    check(len(found["ratings"]) == 72 and len(found["preferences"]) == 36, f"{len(found['ratings'])} ratings, {len(found['preferences'])} preferences")
    for r in found["ratings"]:
        wanted = grades(f"{r['model']} says {r['item']}")
        check({name: r[name] for name in wanted} == wanted, f"{r}, expected {wanted}")
    check(all(p["winner"] == "tuned" for p in found["preferences"]), "a comparison was turned around")

    # hone eval takes the file as it is.
    for model in ("base", "tuned"):
        (program.folder / f"{model}.jsonl").write_text("".join(json.dumps({"answer": f"{model} says {i}"}) + "\n" for i in range(1, 13)), encoding="utf-8")
    (program.folder / "gold.txt").write_text("e\n" * 12, encoding="utf-8")
    report = program.run("eval", "--predictions", program.folder / "tuned.jsonl", "--against", program.folder / "base.jsonl", "--references", program.folder / "gold.txt", "--name", "tuned", "--against-name", "base",
                         "--metrics", "exact_match", "--ratings", out, "--json")
    check('"win_rate":1.0' in report.replace(" ", ""), f"{report[:2000]}")
    check("expected a folder with answers" in program.run("eval", "rate", program.folder / "gold.txt", expect=2), "a text is taken for answers")


def run(program):
    check_review(program)
    check_rating(program)


main(run)
