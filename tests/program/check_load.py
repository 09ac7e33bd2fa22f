#!/usr/bin/env python3
"""512 connections at once, well and badly behaved: every good client gets its own answer whole, refusals have their statuses, and nothing
of the crowd stays behind: no request, no open file, no memory. Then a queue that overflows, and the end while streams run."""
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import resource
import socket
import time

from hone_program import check, main, wait_for
from serve_program import Server

CROWD = {"whole": 110, "ndjson": 60, "events": 60, "slow": 40, "pipelined": 30, "leaving": 70, "half_header": 40, "half_body": 40, "malformed": 30, "large_header": 16, "large_body": 14, "stalled": 2}
TOKENS, LONG = 16, 450
HEADER_SECONDS = 15  # how long a connection may be idle
PATIENCE = 150  # seconds for what takes a few, on a machine that has other things to do
WAVES = 4
GROWTH_MIB = 8  # resident memory after the last wave, beyond that after the second
PROMPTS = [f"{a} {b} {i}" for i, (a, b) in enumerate((a, b) for a in ("the", "that", "this", "then", "数字") for b in ("the", "that", "this", "then", "x"))]
MALFORMED = {b"nonsense\r\n\r\n": 400, b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n": 400, b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n": 505,
             b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n": 400, b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
             b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{\"model\":": 400}
GOOD = ("whole", "ndjson", "events", "slow", "pipelined")
assert sum(CROWD.values()) == 512


def post(path, body):
    data = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(data)) + data


def generate(number, stream, tokens=TOKENS):
    return post("/api/generate", {"model": "tiny", "prompt": PROMPTS[number % len(PROMPTS)], "raw": True, "stream": stream, "options": {"temperature": 0, "num_predict": tokens, "repeat_penalty": 1}})


def completion(number, stream):
    return post("/v1/completions", {"model": "tiny", "prompt": PROMPTS[number % len(PROMPTS)], "stream": stream, "temperature": 0, "max_tokens": TOKENS})


async def response(reader):
    """(status, headers, body) of the next response; an incomplete one is an error."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    if headers.get("transfer-encoding") != "chunked":
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    check(await reader.readexactly(2) == b"\r\n", "a chunked body ends with an empty line")
    return int(head[0].split()[1]), headers, body


def text_of(body):
    """The answer's text in a body of any of the shapes; whether it says that it is finished."""
    if not body.startswith(b"data: "):
        lines = [json.loads(line) for line in body.splitlines()]
        if "choices" in lines[0]:
            return lines[0]["choices"][0]["text"], True
        return "".join(line.get("response", "") for line in lines), lines[-1].get("done", False)
    events = [event[6:] for event in body.decode().split("\n\n") if event]
    return "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1]), events[-1] == "[DONE]"


class Crowd:
    """The clients of one wave. `wait_408`: the half-open ones stay until they are refused. `cut_off`: how often the server cuts a slow reader off until the wave ends."""

    def __init__(self, server, expected, wait_408, cut_off):
        self.server, self.expected, self.wait_408, self.cut_off = server, expected, wait_408, cut_off
        self.connected, self.late, self.again, self.good = set(), 0.0, 0, sum(CROWD[kind] for kind in GOOD)
        self.gate, self.over = asyncio.Event(), asyncio.Event()

    def right(self, number, answer):
        status, headers, body = answer
        if status == 503 and "retry-after" in headers:
            raise ConnectionRefusedError(body.decode())
        check(status == 200, f"{status} {body[:300]}")
        text, finished = text_of(body)
        check(finished and text == self.expected[number % len(PROMPTS)], f"prompt {number % len(PROMPTS)}: {text!r} instead of {self.expected[number % len(PROMPTS)]!r}")

    async def whole(self, number, reader, writer):
        for turn in range(2):  # and once more on the same connection
            writer.write((generate if number % 2 else completion)(number + turn, stream=False))
            self.right(number + turn, await response(reader))

    async def ndjson(self, number, reader, writer):
        writer.write(generate(number, stream=True))
        self.right(number, await response(reader))

    async def events(self, number, reader, writer):
        writer.write(completion(number, stream=True))
        self.right(number, await response(reader))

    async def slow(self, number, reader, writer):
        """A few bytes a second for a while, then the rest."""
        writer.write((generate if number % 2 else completion)(number, stream=True))
        received = asyncio.StreamReader()
        for _ in range(6):
            received.feed_data(await reader.readexactly(7))
            await asyncio.sleep(0.5)
        while not received.at_eof():
            piece = await reader.read(1024)
            received.feed_data(piece)
            if not piece or piece.endswith(b"\r\n0\r\n\r\n"):
                received.feed_eof()
                break
        self.right(number, await response(received))

    async def stalled(self, _, reader, writer):
        """Asks for more than the system's buffers and the server's queue hold, and reads nothing until it is cut off."""
        writer.write(post("/v1/completions", {"model": "tiny", "prompt": PROMPTS, "n": 2, "stream": True, "temperature": 0, "max_tokens": LONG, "logprobs": 5}))
        while self.server.metric("http_slow_clients_total") < self.cut_off:
            await asyncio.sleep(0.5)

    async def pipelined(self, number, reader, writer):
        writer.write(generate(number, stream=True) + b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n" + completion(number + 1, stream=False) + generate(number + 2, stream=False))
        self.right(number, await response(reader))
        check("version" in json.loads((await response(reader))[2]), "answers come in the order of their requests")
        self.right(number + 1, await response(reader))
        self.right(number + 2, await response(reader))

    async def leaving(self, number, reader, writer):
        writer.write(generate(number, stream=True, tokens=LONG))
        check((await reader.readexactly(200)).startswith(b"HTTP/1.1 200 "), "a stream begins")
        if number % 2:
            writer.transport.abort()

    async def half_header(self, _, reader, writer):
        writer.write(b"POST /api/generate HTTP/1.1\r\nHost: local")
        await self.stay(reader)

    async def half_body(self, _, reader, writer):
        writer.write(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
        await self.over.wait()

    async def stay(self, reader):
        if not self.wait_408:
            return await self.over.wait()
        status, _, _ = await response(reader)
        check(status == 408, f"half a header: {status}")

    async def malformed(self, number, reader, writer):
        data, expected = list(MALFORMED.items())[number % len(MALFORMED)]
        writer.write(data)
        status, _, body = await response(reader)
        check(status == expected and body, f"{data}: {status} {body}")

    async def large_header(self, number, reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " + b"x" * 100000 if number % 2 else b"a: b\r\n" * 500) + b"\r\n\r\n")
        status, _, _ = await response(reader)
        check(status == 431, f"a large header: {status}")

    async def large_body(self, number, reader, writer):
        chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        writer.write(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 18 if number % 16 == 0 else b"Content-Length: 99999999999\r\n\r\n{"))
        status, _, _ = await response(reader)
        check(status == 413, f"a large body: {status}")

    async def join(self, reader, writer, one):
        """Asks for the server's health, again every few seconds, until all have been answered."""
        asked = False
        while not (asked and self.gate.is_set()):
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, body = await response(reader)
            if status == 503:
                raise ConnectionRefusedError(body.decode())
            check(status == 200, f"health: {status}")
            asked = True
            self.connected.add(one)
            if len(self.connected) == sum(CROWD.values()):
                self.gate.set()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.gate.wait(), 4)

    async def attempt(self, kind, number):
        """False when these clients were held up so long that a connection may have counted as idle before its next request was sent, or the server still had those
        that they gave up."""
        reluctant = kind in ("slow", "stalled")
        s = socket.socket()
        s.setblocking(False)
        if reluctant:  # What it does not read should stay with the server.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(s, ("127.0.0.1", self.server.port))
        reader, writer = await asyncio.open_connection(sock=s, limit=1024 if reluctant else 65536)
        try:
            await self.join(reader, writer, (kind, number))
            await asyncio.wait_for(getattr(self, kind)(number, reader, writer), PATIENCE)
        except AssertionError as failure:
            raise AssertionError(f"{kind} {number}: {failure}") from None
        except (OSError, EOFError, asyncio.TimeoutError) as failure:
            await asyncio.sleep(0.5)  # The watch, too, learns of it only now.
            if self.late > HEADER_SECONDS / 2:
                self.again += 1
                return False
            raise AssertionError(f"{kind} {number}: {failure!r}") from None
        finally:
            writer.close()
        return True

    async def watch(self):
        """`late`: the seconds that the clock ran on while these clients did not."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            self.late += time.monotonic() - before - 0.1

    async def client(self, kind, number):
        try:
            while not await self.attempt(kind, number):
                pass
        finally:
            self.good -= kind in GOOD
            if self.good == 0:
                self.over.set()

    async def run(self):
        tasks = [asyncio.create_task(self.client(kind, number)) for kind, count in CROWD.items() for number in range(count)]
        watch = asyncio.create_task(self.watch())
        try:
            await asyncio.gather(*tasks)
        finally:
            self.over.set()
            for task in (watch, *tasks):
                task.cancel()


def resident(server):
    pages = int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def waves(program):
    with Server(program, f"tiny={program.tiny_model()}", "--f32", "--max-connections", 600, "--stop-seconds", 1) as server:
        expected = [text_of(alone(server, completion(number, stream=False)))[0] for number in range(len(PROMPTS))]
        check(len(set(expected)) > len(PROMPTS) / 2, f"prompts have answers of their own: {expected}")
        files, memory = open_files(server), []
        for wave in range(WAVES):
            started = time.monotonic()
            crowd = Crowd(server, expected, wait_408=wave == 0, cut_off=CROWD["stalled"] * (wave + 1))
            asyncio.run(crowd.run())
            wait_for(lambda: server.metric("requests_running") + server.metric("requests_waiting") == 0, "nothing is computed for clients that left", PATIENCE)
            wait_for(lambda: server.metric("http_connections") == 1 and open_files(server) <= files + 1, "every connection is closed", PATIENCE)
            check(text_of(alone(server, generate(0, stream=False)))[0] == expected[0], "an answer after the crowd")
            memory.append(resident(server))
            print(f"wave {wave + 1}: {time.monotonic() - started:.1f} s, {memory[-1]:.0f} MiB, {open_files(server)} open files{f', held up for {crowd.late:.0f} s, {crowd.again} asked again' if crowd.again else ''}", flush=True)
        cancelled = server.metric("requests_cancelled_total")
        check(cancelled >= WAVES * CROWD["leaving"] / 2, f"only {cancelled:.0f} answers were ended when their clients left or stalled")
        check(memory[-1] <= memory[1] + GROWTH_MIB, f"memory grows: {memory}")
        end(server)


def alone(server, request):
    """The body of the answer to one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as s:
        s.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        with s.makefile("rb") as file:
            return file.read().partition(b"\r\n\r\n")[2]


def end(server):
    """SIGTERM while streams run, wait, and others are idle or half-open: each stream ends as a stream does or was refused, the program ends with 0."""
    streams = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(64)]
    others = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(64)]
    before = server.metric("requests_finished_total")
    for number, stream in enumerate(streams):
        stream.sendall(generate(number, stream=True, tokens=LONG))
    for number, other in enumerate(others):
        other.sendall((b"", b"GET / HTTP", generate(0, stream=True)[:-5])[number % 3])
    server.patience = PATIENCE
    wait_for(lambda: server.metric("requests_running") >= 32 or server.metric("requests_finished_total") >= before + len(streams), "streams run", PATIENCE)
    took = server.stop()

    async def parsed(stream):
        reader = asyncio.StreamReader()
        with stream.makefile("rb") as file:
            reader.feed_data(file.read())
        reader.feed_eof()
        return await response(reader)

    answers = [asyncio.run(parsed(stream)) for stream in streams]
    ends = collections.Counter()
    for status, headers, body in answers:
        last = json.loads(body.splitlines()[-1])
        check(last.get("done") or "error" in last, f"the last line: {last}")
        check(status == 200 or (status == 503 and "retry-after" in headers), f"{status} {body}")
        ends[f"{status} {'done' if last.get('done') else 'error'}"] += 1
    check(sum(ends.values()) == len(streams), f"{ends}")
    print(f"the end: {took:.1f} s, {dict(ends)}", flush=True)
    for s in streams + others:
        s.close()


def overflow(program):
    """More than the queue and the connections hold: 503 with Retry-After, and whoever tries again gets the right answer in the end."""
    with Server(program, f"tiny={program.tiny_model()}", "--f32", "--max-connections", 100, "--max-queue", 8, "--max-batch", 4) as server:
        expected = [text_of(alone(server, completion(number, stream=False)))[0] for number in range(len(PROMPTS))]
        refused = collections.Counter()

        async def client(number):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(generate(number, stream=bool(number % 2), tokens=TOKENS))
                status, headers, body = await asyncio.wait_for(response(reader), PATIENCE)
                writer.close()
                if status == 200:
                    check(text_of(body) == (expected[number % len(PROMPTS)], True), f"client {number}: {body}")
                    return
                check(status == 503 and int(headers["retry-after"]) >= 1, f"{status} {headers} {body}")
                refused[json.loads(body)["error"]] += 1
                await asyncio.sleep(0.2 + number % 7 / 20)

        async def clients():
            await asyncio.gather(*(client(number) for number in range(400)))

        started = time.monotonic()
        asyncio.run(clients())
        check(any("waiting" in reason for reason in refused) and any("connections" in reason for reason in refused), f"both limits were met: {refused}")
        print(f"overflow: {time.monotonic() - started:.1f} s, refused: {dict(refused)}", flush=True)
        server.stop()


def room(program):
    """At the limit of connections: the idle make room, those that wait for answers do not, and every newcomer is answered."""
    with Server(program, f"tiny={program.tiny_model()}", "--f32", "--max-connections", 32) as server:
        expected = [text_of(alone(server, generate(number, stream=False, tokens=LONG)))[0] for number in range(24)]
        health, told = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", collections.Counter()

        async def connect(request):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            return reader, writer

        async def newcomers():
            for _ in range(10):
                reader, writer = await connect(health)
                status, headers, body = await asyncio.wait_for(response(reader), PATIENCE)
                check(status == 200 or (status == 503 and int(headers["retry-after"]) >= 1 and "connections" in json.loads(body)["error"]), f"a newcomer: {status} {headers} {body}")
                told[status] += 1
                writer.close()

        async def clients():
            streams = [await connect(generate(number, stream=True, tokens=LONG)) for number in range(len(expected))]
            idle = [await connect(health) for _ in range(32 - len(streams))]
            for reader, _ in idle:
                check((await response(reader))[0] == 200, "health")
            await asyncio.gather(*(newcomers() for _ in range(20)))
            for number, (reader, _) in enumerate(streams):
                status, _, body = await asyncio.wait_for(response(reader), PATIENCE)
                check(status == 200 and text_of(body) == (expected[number], True), f"stream {number}: {status} {body[-300:]}")
            for reader, writer in idle:
                with contextlib.suppress(asyncio.TimeoutError, ConnectionResetError):
                    check(await asyncio.wait_for(reader.read(1), 0.1) == b"", "an idle connection is closed without a word, once it was answered")
                    told["made room"] += 1

        asyncio.run(clients())
        check(told["made room"] > 0 and told[200] > 0, f"the idle make room: {told}")
        print(f"room: {dict(told)}", flush=True)
        server.stop()


def run(program):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if hard == resource.RLIM_INFINITY else min(4096, hard), hard))
    waves(program)
    overflow(program)
    room(program)


main(run)
