#!/usr/bin/env python3
"""The live panel: every value of the event stream and the snapshot is that of metrics.jsonl; alarms, stop, history, and who may look."""
import http.client
import json
import math
import re
import time

from hone_program import begin, check, main, wait_for

NAMES = ("epoch", "loss", "smoothed_loss", "grad_norm", "learning_rate", "tokens_per_second", "memory")


def ask(port, method, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    result = response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read()
    connection.close()
    return result


def ask_json(port, path):
    status, _, data = ask(port, "GET", path)
    check(status == 200, f"GET {path}: {status} {data[:300]}")
    return json.loads(data)


def events(port):
    """Every event until the stream ends, read as a browser does: events up to the snapshot's number are dropped."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/events", headers={"Accept": "text/event-stream"})
    response = connection.getresponse()
    check(response.status == 200 and response.getheader("content-type").startswith("text/event-stream"), f"{response.status}")
    snapshot, seen = None, []
    for line in response:
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        seen.append(event)
        if snapshot is None:
            snapshot = ask_json(port, "/api/live")
    connection.close()
    return snapshot, [event for event in seen if event["seq"] > snapshot["seq"]]


def steps_of(snapshot, seen):
    rows = [dict(zip(snapshot["columns"], row)) for row in snapshot.get("points", [])]
    return rows + [event for event in seen if event["event"] == "step"]


def values(program):
    folder = program.folder / "watched"
    config = program.config("watched.yaml", training__output_dir=folder, training__max_steps=60, training__epochs=50, data__validation_share=0.2, training__eval_steps=20, training__save_steps=25)
    process, port, token = begin(program, "train", config, "--panel", "0")
    snapshot, seen = events(port)
    out, err = process.communicate(timeout=120)
    check(process.returncode == 0, f"{out} {err}")
    check(token not in json.dumps(seen) + json.dumps(snapshot), "the token is not told to pages")
    begun = next((event for event in seen if event["event"] == "run"), snapshot)
    check(begun["settings"] == {"grad_norm_min": 0.1, "grad_norm_max": 5, "volatility_max": 0.05, "volatility_window": 10, "memory_min": 0.7, "memory_max": 0.9} and begun["memory_limit"] > 0, f"a page knows the bands, before the plan or after: {begun}")
    steps, written = steps_of(snapshot, seen), program.metrics(folder)
    expected = [m for m in written if "loss" in m]
    check([s["step"] for s in steps] == [m["step"] for m in expected] == list(range(1, 61)), f"every step once: {[s['step'] for s in steps]}")
    for shown, meant in zip(steps, expected):
        for name in NAMES:
            check(shown[name] == meant[name], f"step {meant['step']}: {name} is {shown[name]}, in metrics.jsonl {meant[name]}")
    validations = [v[:3] for v in snapshot.get("validations", [])] + [[e["step"], e["validation_loss"], e["validation_accuracy"]] for e in seen if e["event"] == "validation"]
    check(validations == [[m["step"], m["validation_loss"], m["validation_accuracy"]] for m in written if "validation_loss" in m] and len(validations) == 3, f"{validations}")
    volatilities = [tuple(v) for v in snapshot.get("volatilities", [])] + [(s["step"], s["volatility"]) for s in seen if "volatility" in s]
    check([v[0] for v in volatilities] == list(range(10, 61, 10)), f"volatility every ten steps: {volatilities}")
    for step, value in volatilities:
        losses = [m["smoothed_loss"] for m in expected[step - 10:step]]
        mean = sum(losses) / 10
        slope = sum((i - 4.5) * x for i, x in enumerate(losses)) / 82.5
        check(abs(value - math.sqrt(sum((x - mean - slope * (i - 4.5)) ** 2 for i, x in enumerate(losses)) / 10) / mean) < 1e-9, f"volatility at step {step}: {value}")
    kinds = {e["kind"] for e in seen if e["event"] == "event"} | {e["kind"] for e in snapshot.get("events", [])}
    check("checkpoint" in kinds, f"{kinds}")
    check(seen[-1]["event"] == "end" and seen[-1]["status"] == "done", f"{seen[-1]}")
    return expected


def past(program, expected):
    process, port, _ = begin(program, "panel", "0")
    check(ask_json(port, "/api/live") is None, "no run is live")
    run = ask_json(port, "/api/runs")["runs"][0]
    shown = ask_json(port, "/api/runs/" + run["id"])
    rows = [dict(zip(shown["columns"], row)) for row in shown["points"]]
    check(len(rows) == len(expected), f"{len(rows)} points")
    for row, meant in zip(rows, expected):
        for name in ("step", *NAMES[1:]):
            check(row[name] == meant[name], f"history, step {meant['step']}: {name} is {row[name]}, meant {meant[name]}")
    check(len(shown["validations"]) == 3 and len(shown["volatilities"]) == 6, "validations and volatilities of the history")
    for path in ("/", "/web/page/page.css", "/web/page/page.js", "/web/panel/page.css", "/web/panel/page.js", "/web/panel/points.js", "/web/panel/chart.js", "/web/panel/words.js", "/web/uplot/uPlot.iife.min.js", "/web/uplot/uPlot.min.css", "/web/page/licenses.txt"):
        status, headers, data = ask(port, "GET", path)
        check(status == 200 and data and "default-src 'self'" in headers["content-security-policy"] and headers["cache-control"] == "no-cache", f"{path}: {status} {headers}")
        check(not re.search(rb"(src|href)=\"(https?:)?//|url\(|@import", data), f"{path} loads something from elsewhere")
    check(ask(port, "GET", "/api/runs/none")[0] == 404 and ask(port, "GET", "/web/panel/none")[0] == 404 and ask(port, "GET", "/web/../main.cc")[0] == 404, "what is not there")
    check(ask(port, "GET", "/api/runs", {"Host": "evil.example"})[0] == 421, "a foreign host name is refused")
    check(ask(port, "GET", "/api/runs", {"Origin": "http://evil.example"})[0] == 403, "a foreign origin is refused")
    check(ask(port, "POST", "/api/stop")[0] == 404, "there is nothing to stop")
    process.terminate()
    check(process.wait(timeout=30) == 0, "SIGTERM ends it")


def alarms(program):
    folder = program.folder / "wild"
    config = program.config("wild.yaml", training__output_dir=folder, training__learning_rate=100, training__max_steps=30, training__epochs=50)
    process, port, _ = begin(program, "train", config, "--panel", "0")
    snapshot, seen = events(port)
    process.communicate(timeout=120)
    found = {a["kind"]: a for a in snapshot.get("alarms", [])}
    for event in seen:
        if event["event"] == "alarms":
            found.update({a["kind"]: a for a in event["alarms"]})
    check(any(a["serious"] and a["kind"] in ("loss_rises", "grad_norm_high", "not_finite") for a in found.values()), f"the largest learning rate that settings allow raises an alarm: {found}")
    check(all(a["advice"] and a["count"] > 0 and a["first"] <= a["last"] for a in found.values()), f"{found}")


def control(program):
    folder = program.folder / "stopped"
    config = program.config("stopped.yaml", training__output_dir=folder, training__epochs=5000)
    process, port, token = begin(program, "train", config, "--panel=127.0.0.1:0", "--json")
    while len(program.losses(folder)) < 3 and process.poll() is None:
        time.sleep(0.01)
    check(ask(port, "POST", "/api/stop")[0] == 403 and ask(port, "POST", "/api/stop", {"X-Run-Token": "x" * len(token)})[0] == 403, "a stop needs the run's token")
    check(b"hone_train_loss " in ask(port, "GET", "/metrics")[2], "Prometheus reads the run")
    check(process.poll() is None, "the run goes on")
    wish = lambda what: check(ask(port, "POST", "/api/" + what, {"X-Run-Token": token})[0] == 200, what)
    status = lambda: ask_json(port, "/api/live")["run"]["status"]
    wish("pause")
    wait_for(lambda: status() == "paused", "the run waits", 30)
    done = len(program.losses(folder))
    wish("checkpoint")
    time.sleep(0.5)
    check(len(program.losses(folder)) == done and process.poll() is None, "no step while it waits")
    wish("resume")
    wait_for(lambda: status() == "running" and len(program.losses(folder)) > done, "it goes on", 30)
    wait_for(lambda: any(e["kind"] == "checkpoint" and e["step"] == done for e in ask_json(port, "/api/live")["events"]), f"step {done} is saved", 30)
    check(ask(port, "POST", "/api/stop", {"X-Run-Token": token})[0] == 200, "with it the run stops")
    process.communicate(timeout=60)
    check(process.returncode == 130 and max(int(path.name[5:]) for path in (folder / "checkpoints").iterdir()) >= 3, f"and is saved: {process.returncode}")
    for address, word in (("0.0.0.0:0", "--panel-keys"), ("127.0.0.1:x", "HOST:PORT")):
        check(word in program.run("train", config, "--resume", "--panel", address, expect=2), address)
    program.run("train", config, "--overwrite", "--panel", "training.max_steps=2")
    check(len(program.losses(folder)) == 2, "a setting after --panel is a setting")


def slow_reader(program):
    """A page that never reads does not hold the run up."""
    folder = program.folder / "slow"
    config = program.config("slow.yaml", training__output_dir=folder, training__max_steps=150, training__epochs=50)
    process, port, _ = begin(program, "train", config, "--panel", "0")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/api/events")
    process.communicate(timeout=120)
    check(process.returncode == 0 and len(program.losses(folder)) == 150, f"the run ends: {process.returncode}")
    connection.close()


def everything(program):
    past(program, values(program))
    alarms(program)
    control(program)
    slow_reader(program)


main(everything)
