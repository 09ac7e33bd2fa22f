#!/usr/bin/env python3
"""max_batch_size and batch_timeout over HTTP: requests that only read their prompt come together in few passes; one alone waits no longer
than the time set, and answers do not wait at all."""
import concurrent.futures
import time

from hone_program import check, main
from serve_program import Server

MANY, PATIENCE = 32, 2.0


def score(i):
    return "/v1/completions", {"model": "tiny", "prompt": f"then {i}", "max_tokens": 0, "echo": True, "logprobs": 1}


def vector(i):
    return "/api/embed", {"model": "tiny", "input": f"then {i}"}


def together(server, what):
    """(passes through the model, seconds) of MANY requests at once."""
    before, started = server.metric("engine_steps_total"), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda i: server.json("POST", *what(i)), range(MANY)))
    check(len(answers) == MANY, "every request has its answer")
    return server.metric("engine_steps_total") - before, time.monotonic() - started


def run(program):
    with Server(program, f"tiny={program.tiny_model()}", "--max-batch-size", MANY, "--batch-timeout", PATIENCE) as server:
        server.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "stream": False, "keep_alive": -1, "options": {"num_predict": 1}})
        for what in (score, vector):
            passes, seconds = together(server, what)
            print(f"{what.__name__}: {MANY} requests in {passes:.0f} passes, {seconds:.2f} s")
            check(passes <= 3, f"{what.__name__}: {MANY} requests took {passes} passes")
            started = time.monotonic()
            server.json("POST", *what(0))
            alone = time.monotonic() - started
            check(PATIENCE * 0.9 <= alone < PATIENCE + 2, f"{what.__name__}: one alone took {alone:.2f} s of at most {PATIENCE}")
        started = time.monotonic()
        server.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "stream": False, "options": {"num_predict": 1}})
        check(time.monotonic() - started < PATIENCE * 0.9, "an answer does not wait")
        server.stop()
    with Server(program, f"tiny={program.tiny_model()}", "--max-batch", 4) as server:
        for what in (score, vector):
            passes, _ = together(server, what)
            check(passes >= MANY / 4, f"at most four together: {passes} passes")
        server.stop()


main(run)
