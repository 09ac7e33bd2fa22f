#!/usr/bin/env python3
"""Files that clients send into the store: larger than any body in memory, with a wrong digest, cut off, too large, in chunks, too many."""
import hashlib
import http.client
import pathlib
import re
import socket
import time

from hone_program import check, main, wait_for
from serve_program import Server

MIB = 1 << 20


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def peak_memory(process):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1)) * 1024


def stored(program):
    folder = pathlib.Path(program.environment["HONE_MODELS"]) / "blobs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def header(digest, length):
    return f"POST /api/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode()


def run(program):
    # A model of 40 MiB: the tiny one and zeros behind it, which no tensor uses.
    tiny = program.tiny_model().read_bytes()
    data = tiny + bytes(40 * MIB - len(tiny))
    digest, wrong = sha256(data), "sha256:" + "0" * 64
    with Server(program, "--max-blob", "48MB") as server:
        before = peak_memory(server.process)
        check(server.ask("POST", f"/api/blobs/{wrong}", data)[0] == 400 and stored(program) == [], f"a wrong digest leaves nothing: {stored(program)}")
        status, _, answer = server.ask("POST", f"/api/blobs/{digest}", data)
        check(status == 201 and stored(program) == [digest.replace(":", "-")], f"40 MiB: {status} {answer} {stored(program)}")
        grown = peak_memory(server.process) - before
        check(grown < 16 * MIB, f"a body is never in memory: {grown / MIB:.1f} MiB more")
        check(server.ask("HEAD", f"/api/blobs/{digest}")[0] == 200 and server.ask("HEAD", f"/api/blobs/{wrong}")[0] == 404, "HEAD")
        check(server.lines("/api/create", {"model": "sent", "files": {"sent.gguf": digest}})[-1] == {"status": "success"}, "a model of it")
        check(server.json("POST", "/api/generate", {"model": "sent", "prompt": "then", "stream": False, "options": {"num_predict": 3}})["done"], "answers")
        kept = stored(program)

        # In chunks, twice.
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(2):
            connection.request("POST", f"/api/blobs/{digest}", (data[at:at + 70000] for at in range(0, len(data), 70000)), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
            response = connection.getresponse()
            check(response.status == 201 and response.read() == b"" and stored(program) == kept, "in chunks")
        connection.close()

        # Announced too large, and found too large.
        refused = server.raw(header(wrong, 49 * MIB))
        check(refused.startswith(b"HTTP/1.1 413"), f"{refused[:200]}")
        chunks = b"".join(b"100000\r\n" + bytes(MIB) + b"\r\n" for _ in range(49))
        refused = server.raw(b"POST /api/blobs/" + wrong.encode() + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        check(refused.startswith(b"HTTP/1.1 413") or refused == b"", f"{refused[:200]}")
        refused = server.raw(header("sha256:..", 20 * MIB) + bytes(MIB))
        check(refused.startswith(b"HTTP/1.1 400") and b"hexadecimal" in refused, f"what is no digest is refused at once: {refused[:300]}")
        wait_for(lambda: stored(program) == kept, f"nothing is left: {stored(program)}")

        # Cut off: the connection goes, and with it the file.
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(header(digest, len(data)) + data[:30 * MIB])
            wait_for(lambda: any("partial" in name for name in stored(program)), "the file is on its way")
        wait_for(lambda: stored(program) == kept, f"a cut connection leaves nothing: {stored(program)}")

        # Eight at a time.
        going = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
        for s in going:
            s.sendall(header(wrong, MIB) + bytes(MIB // 2))
        wait_for(lambda: sum("partial" in name for name in stored(program)) == 8, "eight files are on their way")
        refused = server.raw(header(wrong, MIB) + bytes(MIB))
        check(refused.startswith(b"HTTP/1.1 503") and b"Retry-After" in refused, f"a ninth: {refused[:200]}")
        for s in going:
            s.close()
        wait_for(lambda: stored(program) == kept, f"{stored(program)}")
        check(server.ask("POST", f"/api/blobs/{sha256(b'')}", b"")[0] == 201, "nothing can be sent too")

        # The server stops in between.
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(header(digest, len(data)) + data[:MIB])
            wait_for(lambda: any("partial" in name for name in stored(program)), "another file is on its way")
            started = time.monotonic()
            server.stop()
            check(time.monotonic() - started < 10, "an upload does not hold up the end")
            answer = s.recv(200)
            check(answer.startswith(b"HTTP/1.1 503"), f"{answer}")
        check(not any("partial" in name for name in stored(program)), f"nothing is left: {stored(program)}")


main(run)
