#!/usr/bin/env python3
"""What a run shows while it goes: alarms by its own bands (terminal, webhook, history), TensorBoard's files, a learning rate that is
changed on the panel and survives a resume bit for bit, and samples that change nothing."""
import http.client
import http.server
import json
import shutil
import signal
import ssl
import struct
import subprocess
import threading

from hone_program import begin, check, main, wait_for

FILES = ("weights.safetensors", "optimizer.safetensors")


class Hooks:
    """A server that keeps what is posted to it; with a certificate, over TLS."""

    def __init__(self, certificate=None):
        self.bodies = bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{self.server.server_address[1]}/hook"


def alarms(program):
    hooks = Hooks()
    settings = dict(training__max_steps=12, training__epochs=9, alarms__grad_norm_min=0, alarms__grad_norm_max="1e-6", alarms__volatility_window=4, alarms__volatility_max=0, alarms__memory_min=0,
                    alarms__webhook=hooks.url)
    folder = program.folder / "alarms"
    out = program.run("train", program.config("alarms.yaml", training__output_dir=folder, **settings))
    check(out.count("alarm: grad_norm_high: gradient norm") == 1 and "bound 1e-06: lower training.learning_rate" in out, f"the terminal names the alarm once, with what to do: {out}")
    check(out.count("alarm: volatility:") == 1 and "step 4  alarm: volatility" in out, f"volatility of four steps: {out}")
    told = {body["kind"]: body for body in hooks.bodies}
    check(set(told) == {"grad_norm_high", "volatility"} and len(hooks.bodies) == 2, f"the webhook is told of each alarm: {hooks.bodies}")
    grad = told["grad_norm_high"]
    check(grad["step"] == 1 and grad["bound"] == 1e-6 and abs(grad["value"] - program.metrics(folder)[0]["grad_norm"]) < 1e-12 and grad["advice"] and out.count(grad["run"]), f"{grad}")
    # Another run, wide bands: silence. Its webhook is not there: told once, and nothing fails.
    wide = dict(settings, alarms__grad_norm_max="1e9", alarms__volatility_max=1000)
    out = program.run("train", program.config("quiet.yaml", training__output_dir=program.folder / "quiet", **wide))
    check("alarm:" not in out and len(hooks.bodies) == 2, f"nothing is out of band: {out}")
    hooks.server.shutdown()
    hooks.server.server_close()
    lines = [json.loads(line) for line in program.run("train", program.config("deaf.yaml", training__output_dir=program.folder / "deaf", **settings), "--json").splitlines()]
    events = [line for line in lines if line.get("kind") == "event"]
    check(sum(e["event"] == "webhook" for e in events) == 1 and sum(e["event"] == "alarm" for e in events) == 2, f"{events}")
    check("/hook" not in "".join(e["text"] for e in events if e["event"] == "webhook") and lines[-1]["status"] == "done" and lines[-1]["steps"] == 12, f"{events}")
    shown = json.loads(program.run("runs", "show", next(line["run"] for line in lines if line["kind"] == "plan"), "--json"))
    check("grad_norm_high" in json.dumps(shown), "the history keeps alarms")
    # Over TLS: to a server whose certificate is trusted, and to no other.
    certificate = program.folder / "hook.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hook", "-addext", "subjectAltName=DNS:localhost", "-keyout", certificate.with_suffix(".key"), "-out", certificate],
                   check=True, capture_output=True)
    secure = Hooks(certificate)
    for trusted in (True, False):
        if trusted:
            program.environment["SSL_CERT_FILE"] = str(certificate)
        out = program.run("train", program.config("tls.yaml", training__output_dir=program.folder / f"tls-{trusted}", **dict(settings, alarms__webhook=secure.url)))
        program.environment.pop("SSL_CERT_FILE", None)
        check(len(secure.bodies) == 2 and ("certificate" in out) == (not trusted), f"TLS, trusted {trusted}: {secure.bodies} {out}")
    for words, bound in (((), 1e-6), (("--panel-bands", "grad_norm=0:7"), 7)):
        process, port, _ = begin(program, "panel", "0", *words, drain=True)
        run = ask(port, "GET", "/api/runs/" + grad["run"])[1]
        check(run["settings"]["grad_norm_max"] == bound and run["settings"]["volatility_window"] == 4 and len(run["volatilities"]) == 3, f"the history judges a run by its own bands, unless told otherwise: {run['settings']}")
        check(any(e["kind"] == "alarm" for e in run["events"]), f"{run['events']}")
        process.terminate()
        process.wait(timeout=30)
    check("far above" in program.run("train", program.config("fast.yaml", training__learning_rate=100), "--dry-run"), "a learning rate of 100 is noted in the plan")
    check("did you mean" in program.run("train", program.config("typo.yaml", alarms__grad_norm_maximum=1), expect=2), "an unknown key is an error")


# ---- TensorBoard

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def scalars(folder):
    """(tag, step) → value, as TensorBoard shows them: a session's start voids later steps of older files; a torn record ends a file."""
    values = {}
    for path in sorted((folder / "tensorboard").iterdir()):
        data, at = path.read_bytes(), 0
        while at + 16 <= len(data):
            size, = struct.unpack_from("<Q", data, at)
            if at + 16 + size > len(data):
                break
            record = data[at + 12:at + 12 + size]
            for part, crc in ((data[at:at + 8], data[at + 8:at + 12]), (record, data[at + 12 + size:at + 16 + size])):
                value = crc32c(part)
                check(struct.unpack("<I", crc)[0] == ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF, f"CRC of {path.name} at {at}")
            at += 16 + size
            event = dict(fields(record))
            step = event.get(2, 0)
            if 7 in event:
                values = {key: value for key, value in values.items() if key[1] < step}
            for _, one in fields(event.get(5, b"")):
                one = dict(fields(one))
                values[one[1].decode(), step] = struct.unpack("<f", one[2])[0]
    return values


def tensorboard(program):
    folder = program.folder / "board"
    config = program.config("board.yaml", training__output_dir=folder, training__max_steps=25, training__epochs=99, training__save_steps=4, data__validation_share=0.2, training__eval_steps=5,
                            report_to="tensorboard")
    for kill in (6, 13):
        process = program.start("train", config, *(["--resume"] if kill > 6 else []))
        wait_for(lambda: len(program.losses(folder)) >= kill or process.poll() is not None, "the run comes so far", 60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        lines, shown = [m["step"] for m in program.metrics(folder) if "loss" in m], [step for tag, step in scalars(folder) if tag == "train/loss"]
        check(max(shown) >= max(lines) - 1, f"kill -9 loses at most the last step: {max(shown)}, metrics.jsonl {max(lines)}")
    program.run("train", config, "--resume")
    expected = {}
    single = lambda x: struct.unpack("<f", struct.pack("<f", x))[0]
    for m in program.metrics(folder):
        for name, tag in (("loss", "train/loss"), ("grad_norm", "train/grad_norm"), ("learning_rate", "train/learning_rate"), ("tokens_per_second", "train/tokens_per_second"),
                          ("memory", "train/memory"), ("epoch", "train/epoch"), ("smoothed_loss", "train/smoothed_loss"), ("validation_loss", "eval/loss"), ("validation_accuracy", "eval/accuracy")):
            if name in m:
                expected[tag, m["step"]] = single(m[name])
    check(scalars(folder) == expected and len(expected) == 25 * 7 + 5 * 2, "after two kills and resumes TensorBoard shows what metrics.jsonl holds, and nothing else")
    program.run("train", config, "--overwrite", "training.max_steps=2", "report_to=none")
    check(not (folder / "tensorboard").exists(), "a new run keeps nothing of the old one")


# ---- learning rate

def ask(port, method, path, token=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, None if body is None else json.dumps(body), {"X-Run-Token": token} if token else {})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def final(folder, steps):
    checkpoint = folder / "checkpoints" / f"step-{steps:08}"
    return [(checkpoint / name).read_bytes() for name in FILES]


def learning_rate(program):
    folder, steps = program.folder / "rate", 30
    # The address and the port come from the settings.
    config = program.config("rate.yaml", training__output_dir=folder, training__max_steps=steps, training__epochs=99, training__save_steps=1, training__keep_checkpoints=100, panel__address="127.0.0.1:0",
                            schedule__type="constant", schedule__warmup_ratio=0, training__gradient_accumulation=4)
    process, port, token = begin(program, "train", config, drain=True)
    check(ask(port, "POST", "/api/pause", token)[0] == 200, "pause")
    status = lambda: ask(port, "GET", "/api/live")[1].get("run", {}).get("status")
    wait_for(lambda: status() == "paused", "the run waits", 60)
    at = len(program.losses(folder))
    check(1 <= at < steps - 10, f"it waits early enough for this check: step {at}")
    check(ask(port, "POST", "/api/learning_rate", None, {"factor": 0.5})[0] == 403, "a change needs the token")
    for body in ({}, {"factor": 0}, {"factor": -1}, {"factor": 1e6}, {"factor": "2"}, {"factor": None}, []):
        answer = ask(port, "POST", "/api/learning_rate", token, body)
        check(answer[0] == 400 and "bug" not in str(answer[1]), f"{body} is refused: {answer}")
    check(ask(port, "POST", "/api/learning_rate", token, {"factor": 0.25})[0] == 200, "a change is taken")
    check(ask(port, "POST", "/api/resume", token)[0] == 200, "resume")
    process.wait(timeout=120)
    check(process.returncode == 0, f"the run ends: {process.returncode} {process.stderr.read()}")
    rates = [m["learning_rate"] for m in program.metrics(folder)]
    check(rates == [0.01] * at + [0.0025] * (steps - at), f"from the step after {at} on the rate is a quarter: {rates}")
    expected, losses = final(folder, steps), program.losses(folder)
    run = next(line.split()[0] for line in program.run("runs", "list").splitlines()[1:] if line.startswith("rate"))
    check(f"from step {at + 1} on the schedule is multiplied by 0.25" in json.dumps(json.loads(program.run("runs", "show", run, "--json")), ensure_ascii=False), "the history keeps the change")

    def resumed_after(step):
        for path in (folder / "checkpoints").iterdir():
            if int(path.name[5:]) > step:
                shutil.rmtree(path)
        program.run("train", config, "--resume")
        return final(folder, steps)

    check(resumed_after(at + 5) == expected and program.losses(folder) == losses, "resumed after the change: bit for bit the uninterrupted run")
    check(resumed_after(at) == expected and program.losses(folder) == losses, "resumed at the step of the change: the same")
    check(resumed_after(at - 1) != expected, "resumed before the change it is another run (or this check could not fail)")


# ---- samples

def resident(out):
    return [json.loads(line)["memory"] for line in out.splitlines() if '"kind":"step"' in line]


def samples(program):
    held = program.rows("held.jsonl", count=6, seed=9)
    settings = dict(training__max_steps=12, training__epochs=9, training__save_steps=3, lora__dropout=0.1, dropout_rate=0.05, data__validation=held, training__eval_steps=4)
    plain, folder = program.folder / "plain", program.folder / "sampled"
    program.run("train", program.config("plain.yaml", training__output_dir=plain, **settings))
    check(not (plain / "samples.jsonl").exists(), "by default there are no samples")
    config = program.config("sampled.yaml", training__output_dir=folder, training__sample_prompts="['the that', '数字']", training__sample_rows=2, training__sample_tokens=6, **settings)
    out = program.run("train", config)
    check(program.losses(plain) == program.losses(folder) and final(plain, 12) == final(folder, 12), "with samples the losses and the weights are the same, bit for bit")
    read = lambda: [json.loads(line) for line in (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = read()
    check([line["step"] for line in lines] == [step for step in (0, 3, 6, 9, 12) for _ in range(4)], f"four answers at every checkpoint: {lines}")
    check([line["prompt"] for line in lines[:2]] == ["the that", "数字"] and "expected" not in lines[0] and lines[2]["expected"].startswith("number"), f"{lines[:4]}")
    check(out.count("sample: the that → ") == 5, f"the terminal shows them: {out}")
    check(len({line["answer"] for line in lines if line["prompt"] == "the that"}) > 1, f"what is learned shows: {lines}")
    # Whatever is trained, and in whatever arithmetic.
    for kind in ("model__adapter=full", "model__quantization=nf4", "model__quantization=int8", "training__gradient_checkpointing=true"):
        key, value = kind.split("=")
        short = {**settings, "training__max_steps": 4, "training__save_steps": 1, "training__precision": "bf16", key: value}
        pairs = [(program.folder / f"{value}-{word}", more) for word, more in (("plain", {}), ("sampled", dict(training__sample_prompts="the that", training__sample_tokens=6)))]
        for place, more in pairs:
            program.run("train", program.config(f"{place.name}.yaml", training__output_dir=place, **short, **more))
        check(final(pairs[0][0], 4) == final(pairs[1][0], 4) and len(program.losses(pairs[1][0])) == 4, f"{kind}: the same with samples, bit for bit")
        check((pairs[1][0] / "samples.jsonl").read_text().count("\n") == 5, f"{kind}: five samples")
    # The live weights answer as the saved adapter does.
    told = json.loads(program.run("run", program.tiny_model(), "--adapter", folder / "last", "--temperature", "0", "--max-tokens", "6", "--f32", "--json", "the that"))
    check(told["text"] == lines[-4]["answer"], f"the last sample is what hone run says: {told} {lines[-4]}")
    # Resumed: the samples of the step it begins with are kept, later ones made again.
    for path in (folder / "checkpoints").iterdir():
        if int(path.name[5:]) > 9:
            shutil.rmtree(path)
    program.run("train", config, "--resume")
    check(read() == lines, "after a resume the file is the same")
    text = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines(True)
    for path in (folder / "checkpoints").iterdir():
        if int(path.name[5:]) > 9:
            shutil.rmtree(path)
    (folder / "samples.jsonl").write_text("".join(line for line in text if json.loads(line)["step"] < 9), encoding="utf-8")
    program.run("train", config, "--resume")
    check(read() == lines, "samples that a killed process did not come to are made up for")
    # Memory: a hundred rounds of samples take no more than none.
    many = dict(settings, training__max_steps=100, training__epochs=99, training__eval_steps=1000, training__save_steps=1, training__keep_checkpoints=1)
    without = resident(program.run("train", program.config("lean.yaml", training__output_dir=program.folder / "lean", **many), "--json"))
    with_them = resident(program.run("train", program.config("many.yaml", training__output_dir=program.folder / "many", training__sample_prompts="['the that', 'this']", training__sample_tokens=50, **many), "--json"))
    growth = with_them[-1] - with_them[10]
    check(growth < (4 << 20) + max(0, without[-1] - without[10]), f"ninety rounds of samples leave {growth} bytes behind; without them {without[-1] - without[10]}")
    err = program.run("train", program.config("long.yaml", training__sample_prompts=f"'{'the ' * 200}'", training__output_dir=program.folder / "long"), expect=2)
    check("training.sample_prompts[0]" in err and "cutoff_length" in err, err)


def everything(program):
    alarms(program)
    tensorboard(program)
    learning_rate(program)
    samples(program)


main(everything)
