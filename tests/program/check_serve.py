#!/usr/bin/env python3
"""The server as its clients meet it: shapes of answers in both dialects, options, limits, clients that misbehave, keys, TLS, the end."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import time

from hone_program import check, main, wait_for
from serve_program import Server

GREEDY = {"temperature": 0, "num_predict": 8}


def ollama(server):
    generate = {"model": "tiny", "prompt": "then this", "options": GREEDY}
    lines = server.lines("/api/generate", generate)
    check([line["done"] for line in lines] == [False] * (len(lines) - 1) + [True], f"done: {lines}")
    last = lines[-1]
    check(all(isinstance(last[f"{key}_duration"], int) and last[f"{key}_duration"] >= 0 for key in ("total", "load", "prompt_eval", "eval")) and last["prompt_eval_count"] > 0 < last["eval_count"], f"{last}")
    check(last["total_duration"] >= last["prompt_eval_duration"] + last["eval_duration"] > 0, f"durations: {last}")
    check(last["done_reason"] in ("stop", "length") and last["eval_count"] <= 8, f"{last}")
    check(len(last["context"]) == last["prompt_eval_count"] + last["eval_count"], f"context: {last}")
    whole = server.json("POST", "/api/generate", dict(generate, stream=False))
    check(whole["response"] == "".join(line["response"] for line in lines), "streamed and whole answers are the same")
    more = server.json("POST", "/api/generate", dict(generate, stream=False, context=last["context"]))
    check(more["prompt_eval_count"] > len(last["context"]), "the context comes before the prompt")
    raw = server.json("POST", "/api/generate", dict(generate, stream=False, raw=True))
    check(raw["prompt_eval_count"] < whole["prompt_eval_count"], "raw leaves the template out")
    with_system = server.json("POST", "/api/generate", dict(generate, stream=False, system="number"))
    check(with_system["prompt_eval_count"] > whole["prompt_eval_count"], "the system message is in the prompt")
    own_template = server.json("POST", "/api/generate", dict(generate, stream=False, template="{{ if .System }}{{ .System }}{{ end }}<|im_start|>{{ .Prompt }}"))
    check(own_template["prompt_eval_count"] == raw["prompt_eval_count"] + 1, "a template of the request's own")
    seeds = [server.json("POST", "/api/generate", dict(generate, stream=False, options={"temperature": 1.5, "num_predict": 12, "seed": seed}))["response"] for seed in (1, 1, 2)]
    check(seeds[0] == seeds[1] != seeds[2], f"the seed decides: {seeds}")
    text = server.json("POST", "/api/generate", dict(generate, stream=False, options={"temperature": 0, "num_predict": 40}))["response"]
    stop = text[5:7]
    stopped = server.json("POST", "/api/generate", dict(generate, stream=False, options={"temperature": 0, "num_predict": 40, "stop": [stop]}))
    check(stopped["response"] == text[:text.index(stop)] and stopped["done_reason"] == "stop", f"{stopped['response']!r} ends before {stop!r} of {text!r}")

    chat = {"model": "tiny", "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "then"}], "options": GREEDY}
    lines = server.lines("/api/chat", chat)
    check(all(line["message"]["role"] == "assistant" for line in lines) and lines[-1]["done"], f"{lines}")
    whole = server.json("POST", "/api/chat", dict(chat, stream=False))
    check(whole["message"]["content"] == "".join(line["message"]["content"] for line in lines), "streamed and whole chats are the same")
    check(server.json("POST", "/api/chat", {"model": "tiny"})["done_reason"] == "load", "an empty chat loads the model")
    check([m["name"] for m in server.json("GET", "/api/ps")["models"]] == ["tiny:latest"], "ps lists the loaded model")
    check(server.json("POST", "/api/generate", {"model": "tiny", "keep_alive": 0})["done_reason"] == "unload", "keep_alive 0 unloads")
    wait_for(lambda: not server.json("GET", "/api/ps")["models"], "the model is given up")
    server.json("POST", "/api/generate", dict(generate, stream=False, keep_alive="300ms"))
    wait_for(lambda: not server.json("GET", "/api/ps")["models"], "the model is given up after 300 ms")
    check(server.json("POST", "/api/generate", dict(generate, stream=False, keep_alive=-1))["load_duration"] > 0, "loading takes time")

    tags = {m["name"]: m for m in server.json("GET", "/api/tags")["models"]}
    check(set(tags) == {"tiny:latest", "tuned:latest"}, f"{tags}")
    check(tags["tiny:latest"]["details"]["family"] == "llama" and len(tags["tiny:latest"]["digest"]) == 64 and tags["tiny:latest"]["size"] > 1000, f"{tags}")
    check(tags["tuned:latest"]["details"]["parent_model"] == "tiny" and tags["tuned:latest"]["size"] > tags["tiny:latest"]["size"], f"{tags}")
    shown = server.json("POST", "/api/show", {"model": "tiny:latest"})
    check("FROM " in shown["modelfile"] and "im_start" in shown["template"] and shown["model_info"]["llama.context_length"] == 512, f"{shown}")
    check("completion" in shown["capabilities"] and "tools" not in shown["capabilities"], f"{shown['capabilities']}")
    tuned = server.json("POST", "/api/chat", dict(chat, model="tuned", stream=False, options=dict(GREEDY, num_predict=20)))
    base = server.json("POST", "/api/chat", dict(chat, stream=False, options=dict(GREEDY, num_predict=20)))
    check(tuned["message"]["content"] != base["message"]["content"], "the adapter changes the answers")
    versions = server.json("GET", "/api/version")
    check(tuple(map(int, versions["version"].split("."))) >= (0, 20, 0) and versions["hone"] == server.json("GET", "/health")["version"], f"versions: {versions}")
    vectors = server.json("POST", "/api/embed", {"model": "tiny", "input": ["then", "this", "then"]})["embeddings"]
    check(len(vectors) == 3 and len(vectors[0]) == 64 and vectors[0] == vectors[2] != vectors[1] and abs(sum(x * x for x in vectors[0]) - 1) < 1e-4, "embeddings")
    check(server.json("POST", "/api/embeddings", {"model": "tiny", "prompt": "then"})["embedding"] == vectors[0], "both embedding routes agree")


def openai(server):
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "then this"}], "temperature": 0, "max_tokens": 8}
    whole = server.json("POST", "/v1/chat/completions", chat)
    choice = whole["choices"][0]
    check(whole["object"] == "chat.completion" and choice["message"]["role"] == "assistant" and choice["finish_reason"] in ("stop", "length"), f"{whole}")
    check(whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"], f"{whole['usage']}")
    events = server.events("/v1/chat/completions", dict(chat, stream=True, stream_options={"include_usage": True}))
    check(events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""} and events[-1]["choices"] == [] and events[-1]["usage"] == whole["usage"], f"{events}")
    check("".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]) == choice["message"]["content"], "streamed and whole answers are the same")
    check(events[-2]["choices"][0]["finish_reason"] == choice["finish_reason"], f"{events[-2]}")
    several = server.json("POST", "/v1/chat/completions", dict(chat, n=3, temperature=1.2, seed=5))
    check([c["index"] for c in several["choices"]] == [0, 1, 2], f"{several}")
    check(len({c["message"]["content"] for c in several["choices"]}) > 1, "n answers differ")
    parts = dict(chat, messages=[{"role": "user", "content": [{"type": "text", "text": "then "}, {"type": "text", "text": "this"}]}])
    check(server.json("POST", "/v1/chat/completions", parts)["choices"] == whole["choices"], "content in parts")

    completion = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": "then this", "temperature": 0, "max_tokens": 5, "echo": True})
    check(completion["object"] == "text_completion" and completion["choices"][0]["text"].startswith("then this"), f"{completion}")
    ids = server.json("POST", "/tokenize", {"model": "tiny", "content": "then this"})["tokens"]
    check(server.json("POST", "/detokenize", {"model": "tiny", "tokens": ids})["content"] == "then this", "tokenize and back")
    by_ids = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": [ids, ids], "temperature": 0, "max_tokens": 5, "echo": True})
    check([c["text"] for c in by_ids["choices"]] == [completion["choices"][0]["text"]] * 2, f"{by_ids}")
    events = server.events("/v1/completions", {"model": "tiny", "prompt": "then this", "temperature": 0, "max_tokens": 5, "echo": True, "stream": True})
    check("".join(e["choices"][0]["text"] for e in events) == completion["choices"][0]["text"], "a streamed completion")

    models = server.json("GET", "/v1/models")["data"]
    check([m["id"] for m in models] == ["tiny", "tuned"], f"{models}")
    check(server.json("GET", "/v1/models/tuned")["id"] == "tuned", "one model")
    check(server.json("GET", "/v1/models/none", expect=404)["error"]["code"] == "model_not_found", "an unknown model")
    data = server.json("POST", "/v1/embeddings", {"model": "tiny", "input": ["then", "this"]})
    check(len(data["data"]) == 2 and data["data"][1]["index"] == 1 and data["usage"]["prompt_tokens"] > 0, "embeddings")


def token_by_token(server):
    """What needs the tokens themselves: log probabilities, biases, forms of answers, contexts."""
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "then this"}], "temperature": 0, "max_tokens": 6}
    answer = server.json("POST", "/v1/chat/completions", dict(chat, logprobs=True, top_logprobs=2))
    tokens = answer["choices"][0]["logprobs"]["content"]
    check(len(tokens) == answer["usage"]["completion_tokens"] > 0, f"{answer}")
    check(b"".join(bytes(t["bytes"]) for t in tokens).decode("utf-8", "replace").startswith(answer["choices"][0]["message"]["content"][:3]), f"{tokens}")
    likeliest = [len(one["top_logprobs"]) == 2 and one["top_logprobs"][0]["logprob"] == one["logprob"] <= 0 and one["logprob"] >= one["top_logprobs"][1]["logprob"] for one in tokens]
    check(all(likeliest), f"greedy takes the likeliest: {tokens}")
    streamed = server.events("/v1/chat/completions", dict(chat, logprobs=True, top_logprobs=2, stream=True))
    check([t for e in streamed for t in (e["choices"][0]["logprobs"] or {"content": []})["content"]] == tokens, "streamed log probabilities")
    ollama_tokens = server.json("POST", "/api/chat", {"model": "tiny", "messages": chat["messages"], "stream": False, "logprobs": True, "options": {"temperature": 0, "num_predict": 6, "repeat_penalty": 1}})["logprobs"]
    check([t["token"] for t in ollama_tokens] == [t["token"] for t in tokens], "both dialects")
    scored = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": "then this", "max_tokens": 0, "echo": True, "logprobs": 1})["choices"][0]
    ids = server.json("POST", "/tokenize", {"model": "tiny", "content": "then this"})["tokens"]
    values = scored["logprobs"]["token_logprobs"]
    check("".join(scored["logprobs"]["tokens"]) == "then this" == scored["text"] and len(values) == len(ids), f"{scored}")
    check(values[0] is None and all(-30 < v < 0 for v in values[1:]), f"{values}")
    liked = ids[-1]
    biased = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 5, "temperature": 1, "logit_bias": {str(liked): 100}})["choices"][0]["text"]
    check(biased == server.json("POST", "/detokenize", {"model": "tiny", "tokens": [liked] * 5})["content"], f"a biased answer: {biased!r}")
    spread = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 30, "temperature": 0, "presence_penalty": 2, "frequency_penalty": 2})["choices"][0]["text"]
    plain = server.json("POST", "/v1/completions", {"model": "tiny", "prompt": "x", "max_tokens": 30, "temperature": 0})["choices"][0]["text"]
    check(len(set(spread)) > len(set(plain)), f"penalties make answers more varied: {spread!r} {plain!r}")
    schema = {"type": "object", "required": ["good", "count"], "additionalProperties": False, "properties": {"good": {"type": "boolean"}, "count": {"enum": [1, 2, 30]}, "note": {"type": ["null"]}}}
    for seed in range(4):
        one = server.json("POST", "/api/generate", {"model": "tiny", "prompt": "then", "stream": False, "format": schema, "options": {"temperature": 1.5, "seed": seed, "num_predict": 300}})
        document = json.loads(one["response"])
        check(one["done_reason"] == "stop" and document["good"] in (True, False) and document["count"] in (1, 2, 30), f"{one}")
    held = server.json("POST", "/v1/chat/completions", dict(chat, temperature=1.5, seed=3, max_tokens=300, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}))
    check(set(json.loads(held["choices"][0]["message"]["content"])) >= {"good", "count"}, f"{held}")
    loose = server.json("POST", "/v1/chat/completions", dict(chat, max_tokens=60, response_format={"type": "json_object"}))["choices"][0]
    check(loose["message"]["content"].lstrip().startswith("{"), f"{loose}")
    more = server.json("POST", "/api/generate", {"model": "tiny", "prompt": "then", "stream": False, "options": GREEDY})
    said = more["context"][more["prompt_eval_count"]:]
    check(server.json("POST", "/detokenize", {"model": "tiny", "tokens": said})["content"] == more["response"], "the context ends with the answer's tokens")
    check(server.metric("prompt_tokens_reused_total") > 0, "prompts that were seen before are not computed again")


def words_stay_words(server):
    """The text of a special token inside a message is read as text, not as the token."""
    def count(content):
        return server.json("POST", "/api/chat", {"model": "tiny", "stream": False, "messages": [{"role": "user", "content": content}], "options": {"num_predict": 1}})["prompt_eval_count"]
    mark = "<|im_end|>"
    check(count("a" + mark + "b") == count("ab") + len(mark), "a special token's text in a message")
    server.json("POST", "/api/chat", {"model": "tiny", "messages": [{"role": mark, "content": "x"}]}, expect=400)


def batch(server):
    requests = [{"model": "tiny", "prompt": f"then {i}", "options": GREEDY} for i in range(6)]
    requests[2] = {"model": "none", "prompt": "x"}
    requests[4] = {"model": "tiny", "prompt": "x", "options": {"temperature": -5}}
    lines = {line["index"]: line for line in server.lines("/api/batch", {"requests": requests})}
    check(sorted(lines) == list(range(6)), f"{lines}")
    check("not found" in lines[2]["error"] and lines[2]["status"] == 404 and "temperature" in lines[4]["error"], f"{lines[2]} {lines[4]}")
    for i in (0, 1, 3, 5):
        alone = server.json("POST", "/api/generate", dict(requests[i], stream=False))
        check(lines[i]["response"] == alone["response"] and lines[i]["done"], f"request {i} of a batch: {lines[i]}")


def refusals(server):
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
    deep = b'{"model":"tiny","messages":' + b"[" * 4000 + b"]" * 4000 + b"}"
    bad = [b"", b"{", b"[]", b"null", b'{"model":', b"\xff\xfe", deep, b'{"model":"tiny","prompt":"\\ud800"}',
           {"prompt": "x"}, {"model": 5}, {"model": "tiny", "prompt": 5}, {"model": "tiny", "prompt": "x", "stream": "yes"},
           {"model": "tiny", "prompt": "x", "suffix": "y"}, {"model": "tiny", "prompt": "x", "images": ["aGk="]}, {"model": "tiny", "prompt": "x", "template": "{{ range .Messages }}{{ end }}"}, {"model": "tiny", "prompt": "x", "template": "{{ if .System }}"},
           {"model": "tiny", "prompt": "x", "context": [1, -1]}, {"model": "tiny", "prompt": "x", "context": [100000]}, {"model": "tiny", "prompt": "x" * 3000},
           {"model": "tiny", "prompt": "x", "format": {"type": "object", "not": {}}}, {"model": "tiny", "prompt": "x", "format": "xml"}]
    options = {"temperature": (-1, "warm", 1e9), "top_k": (1.5, -7), "top_p": (2, -0.1), "min_p": (1.01,), "num_predict": (-3, 1e30, "5"), "seed": (2 ** 70, "x"), "num_ctx": (-1,),
               "repeat_penalty": (0, -1), "stop": (5, [5], ["x"] * 100), "typical_p": (0.5,)}
    bad += [{"model": "tiny", "prompt": "x", "options": {key: value}} for key, values in options.items() for value in values]
    bad += [{"model": "tiny", "prompt": "x", "keep_alive": value} for value in ("5 parsecs", "", [], "m5")]
    for body in bad:
        answer = server.json("POST", "/api/generate", body, expect=400)
        check(set(answer) == {"error"} and isinstance(answer["error"], str) and answer["error"], f"{body}: {answer}")
    check(server.json("POST", "/api/chat", dict(chat, model="none"), expect=404)["error"].startswith("model 'none' not found"), "an unknown model")
    check("tools" in server.json("POST", "/api/chat", dict(chat, tools=[{"type": "function", "function": {"name": "f"}}]), expect=400)["error"], "tools without a template for them")
    for change in ({"messages": []}, {"messages": [5]}, {"messages": [{"role": "user", "content": 5}]}, {"n": 99}, {"max_tokens": -1}, {"temperature": "x"}, {"logit_bias": {"x": 1}}, {"logit_bias": {"5": 101}},
                   {"presence_penalty": 3}, {"top_logprobs": 3}, {"tools": [5]}, {"response_format": {"type": "yaml"}}, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
                   {"messages": [{"role": "user", "content": "x" * 9000}]}):
        error = server.json("POST", "/v1/chat/completions", dict(chat, **change), expect=400)["error"]
        check(set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error" and error["param"], f"{change}: {error}")
    server.json("GET", "/api/none", expect=404)
    for path, body in (("pull", {}), ("pull", {"model": "../x"}), ("push", {"model": "a/../b"}), ("create", {"model": "x"}), ("create", {"model": "x", "from": "/etc/passwd"}), ("create", {"model": "x", "from": "../x"}), ("create", {"model": "x", "from": "x" * 300}),
                       ("create", {"model": "x", "files": {"a": "sha256:../../x"}}), ("create", {"model": "x", "modelfile": "FROM y\nADAPTER /etc/passwd"}), ("copy", {"source": "x"}), ("blobs/sha256:..", {})):
        check(server.json("POST", f"/api/{path}", body, expect=400)["error"], f"{path} {body}")
    check("no such model" in server.json("DELETE", "/api/delete", {"model": "none"}, expect=404)["error"], "an unknown model")
    status, headers, _ = server.ask("GET", "/api/chat")
    check(status == 405 and headers["allow"] == "POST", f"{status} {headers}")
    check(server.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "stream": False, "options": GREEDY})["done"], "a good request after many bad ones")


def malformed_http(server):
    def status(data, **options):
        answer = server.raw(data, **options)
        return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else None
    host = b"Host: localhost\r\n"
    check(status(b"nonsense\r\n\r\n") == 400, "no HTTP")
    check(status(b"GET / HTTP/3.7\r\n" + host + b"\r\n") in (400, 505), "an unknown version")
    check(status(b"GET /%zz HTTP/1.1\r\n" + host + b"\r\n") == 400, "a bad escape")
    check(status(b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 100000 + b"\r\n\r\n") == 431, "a long header")
    check(status(b"GET /health HTTP/1.1\r\n" + host + b"a: b\r\n" * 500 + b"\r\n") == 431, "many headers")
    check(status(b"POST /api/chat HTTP/1.1\r\n" + host + b"Content-Length: 99999999999\r\n\r\n") == 413, "a large body, announced")
    check(status(b"POST /api/chat HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n") == 400, "a negative length")
    check(status(b"POST /api/chat HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400, "two lengths")
    check(status(b"POST /api/chat HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n") == 400, "a bad chunk")
    check(status(b"POST /api/chat HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n" * 1 + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 18) == 413, "a large body, in chunks")
    check(server.raw(b"POST /api/chat HTTP/1.1\r\n" + host + b"Content-Length: 50\r\n\r\n{", shut=True) == b"", "a body that never comes")
    check(status(b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n") == 421, "another host's name")
    check(status(b"GET /health HTTP/1.1\r\n" + host + host + b"Connection: close\r\n\r\n") in (400, 421), "two hosts")
    two = server.raw((b"GET /health HTTP/1.1\r\n" + host + b"\r\n") + (b"GET /api/version HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n"))
    check(two.count(b"HTTP/1.1 200") == 2 and two.index(b"status") < two.index(b"version"), f"pipelined requests: {two}")
    old = server.raw(b"GET / HTTP/1.0\r\n\r\n")
    check(old.endswith(b"hone is running") and b"Connection: close" in old, f"HTTP/1.0: {old}")
    head = server.raw(b"HEAD / HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    check(head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n"), f"HEAD: {head}")
    body = json.dumps({"model": "tiny", "prompt": "x", "options": GREEDY}).encode()
    old = server.raw(b"POST /api/generate HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    check(b"chunked" not in old and json.loads(old.strip().splitlines()[-1])["done"], f"a stream over HTTP/1.0: {old}")
    expect = b"POST /api/show HTTP/1.1\r\n" + host + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n"
    check(server.raw(expect + b'{"model":"tiny"}').startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), "Expect: 100-continue")


def origins(server):
    def status(origin, **headers):
        return server.ask("GET", "/api/tags", headers={"Origin": origin, **headers})[:2]
    check(status("https://evil.example")[0] == 403 and status("null")[0] == 403 and status("http://localhost.evil.example")[0] == 403, "foreign origins")
    code, headers = status("http://localhost:3000")
    check(code == 200 and headers["access-control-allow-origin"] == "http://localhost:3000", f"a page of this machine: {code} {headers}")
    code, headers, _ = server.ask("OPTIONS", "/api/chat", headers={"Origin": "http://127.0.0.1:9", "Access-Control-Request-Headers": "x-y"})
    check(code == 204 and headers["access-control-allow-headers"] == "x-y", f"preflight: {code} {headers}")
    page = server.ask("GET", "/", headers={"Accept": "text/html,*/*"})
    check(page[0] == 200 and page[1]["content-type"].startswith("text/html") and b"/web/chat/page.js" in page[2] and "default-src 'self'" in page[1]["content-security-policy"], "the page")
    for name in ("page/page.js", "page/page.css", "page/icon.svg", "chat/page.js", "chat/page.css", "chat/words.js"):
        check(f"/web/{name}".encode() in page[2] and server.ask("GET", f"/web/{name}")[0] == 200, name)
    check(server.ask("GET", "/web/../page.js")[0] == 404, "no other files")


def leaving(server):
    """Clients that go away in the middle: their answers end, others do not notice."""
    before = server.metric("requests_finished_total")
    body = json.dumps({"model": "tiny", "prompt": "then", "options": {"num_predict": -1, "temperature": 1.5, "seed": 3}}).encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            s.recv(100)
    wait_for(lambda: server.metric("requests_running") + server.metric("requests_waiting") == 0, "nothing is computed for clients that left")
    check(server.metric("requests_finished_total") >= before, "counted")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: server.json("POST", "/api/generate", {"model": "tiny", "prompt": f"then {i % 4}", "stream": False, "options": GREEDY})["response"], range(16)))
    check(all(answers[i] == answers[i % 4] for i in range(16)), f"many at once: {answers}")


def keys_and_tls(program):
    keys = program.folder / "keys"
    keys.write_text("# who may ask\ninfer 0123456789abcdef-infer\nadmin 0123456789abcdef-admin\n")
    keys.chmod(0o600)
    check("API key" in program.run("serve", program.tiny_model(), "--host", "0.0.0.0", "--port", "0", expect=2), "an open address without keys")
    weak = program.folder / "weak"
    weak.write_text("infer short\n")
    weak.chmod(0o600)
    check("16 characters" in program.run("serve", program.tiny_model(), "--api-keys", weak, expect=2), "a short key")
    weak.chmod(0o644)
    check("chmod 600" in program.run("serve", program.tiny_model(), "--api-keys", weak, expect=2), "a key file that everybody may read")
    certificate, key = program.folder / "cert.pem", program.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    with Server(program, f"tiny={program.tiny_model()}", "--host", "0.0.0.0", "--api-keys", keys, "--tls-cert", certificate, "--tls-key", key, "--max-connections", 4, tls=True) as server:
        check(server.json("GET", "/health")["status"] == "ok", "health needs no key")
        for headers in ({}, {"Authorization": "Bearer 0123456789abcdef-other"}, {"Authorization": "Basic Og=="}, {"Authorization": "Bearer "}):
            for path in ("/api/tags", "/", "/metrics", "/api/none"):
                check("error" in server.json("GET", path, headers=headers, expect=401), f"{path} with {headers}")
        error = server.json("GET", "/v1/models", expect=401)["error"]
        check(error["code"] == "invalid_api_key", f"{error}")
        good = {"Authorization": "Bearer 0123456789abcdef-infer"}
        check(server.json("GET", "/api/tags", headers=good)["models"], "a good key")
        check("error" in server.json("POST", "/api/copy", {"source": "a", "destination": "b"}, headers=good, expect=403), "the store is for admin keys")
        server.json("POST", "/api/copy", {"source": "none", "destination": "b"}, headers={"Authorization": "Bearer 0123456789abcdef-admin"}, expect=404)
        check(server.ask("GET", "/", headers={"Accept": "text/html"})[1]["www-authenticate"].startswith("Basic"), "browsers ask for the key")
        answer = server.json("POST", "/api/generate", {"model": "tiny", "prompt": "x", "stream": False, "options": GREEDY}, headers=good)
        check(answer["done"], "an answer over TLS")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            check(not plain.recv(1000).startswith(b"HTTP/1.1 200"), "no plain HTTP on a TLS port")
        busy = [server.connection() for _ in range(4)]
        for connection in busy:
            connection.connect()
            connection.sock.sendall(b"GET /health HTTP/1.1\r\n")
        status, headers, body = server.ask("GET", "/health")
        check(status == 503 and headers["retry-after"] == "1" and "connections" in json.loads(body)["error"], f"one too many over TLS: {status} {headers} {body}")
        for connection in busy:
            connection.close()
        wait_for(lambda: server.ask("GET", "/health")[0] == 200, "they make room")
        server.stop()


def limits(program):
    with Server(program, f"tiny={program.tiny_model()}", "--max-queue", 2, "--max-batch", 1, "--max-connections", 24, "--stop-seconds", 1) as server:
        slow = {"model": "tiny", "prompt": "then", "stream": False, "options": {"num_predict": 400, "temperature": 1.5, "seed": 1}}
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            results = list(pool.map(lambda _: server.ask("POST", "/api/generate", slow), range(12)))
        codes = [status for status, _, _ in results]
        check(set(codes) == {200, 503} and codes.count(200) >= 2, f"a full queue: {codes}")
        full = next(r for r in results if r[0] == 503)
        check(full[1]["retry-after"] and "waiting" in json.loads(full[2])["error"], f"{full}")
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        check(server.json("GET", "/health")["status"] == "ok", "idle connections make room for new ones")
        for s in sockets:
            s.close()
        # Readers who take nothing: their connections are cut, the engine goes on.
        body = json.dumps({"requests": [dict(slow, options={"num_predict": 1})] * 2}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(b"POST /api/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            check(server.json("GET", "/health")["status"] == "ok", "others are served meanwhile")
        wait_for(lambda: server.metric("requests_waiting") + server.metric("requests_running") == 0, "nothing is computed for clients that left")
        # The end: open answers get a second, then they fail cleanly.
        stream = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        body = json.dumps(dict(slow, stream=True, options={"num_predict": 500, "temperature": 0.1, "seed": 4})).encode()
        stream.sendall(b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        received = stream.recv(200)
        took = server.stop()
        while piece := stream.recv(65536):
            received += piece
        check(took < 15 and received.endswith(b"0\r\n\r\n"), f"the last answer is whole after {took:.1f} s: {received[-200:]}")
        last = json.loads([line for line in received.split(b"\r\n") if line.startswith(b"{")][-1])
        check(last.get("done") or "error" in last, f"{last}")


def adapters(program):
    """Two adapters and their base at once: one model in memory, each answers as it does alone, and none is disturbed by another's end."""
    for name, seed in (("first", 1), ("second", 2)):
        program.run("train", program.config(f"{name}.yaml", data=program.rows(f"{name}.jsonl", seed=seed), training__output_dir=program.folder / name, training__max_steps=10, training__learning_rate=5e-2, training__seed=seed))
    names = ["tiny", "first", "second"]

    def ask(server, name, tokens=40, **more):
        options = {"temperature": 0, "num_predict": tokens, "repeat_penalty": 1}
        return server.json("POST", "/api/chat", {"model": name, "stream": False, "messages": [{"role": "user", "content": "then this"}], "options": options, **more})["message"]["content"]

    words = [f"tiny={program.tiny_model()}", *[w for name in names[1:] for w in ("--adapter", f"{name}={program.folder / name}")], "--f32", "--max-models", 1]
    alone = {}
    for name in names:
        with Server(program, *words) as server:
            alone[name] = ask(server, name)
            server.stop()
    check(len(set(alone.values())) == 3, f"each has answers of its own: {alone}")
    with Server(program, *words) as server:
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda i: ask(server, names[i % 3]), range(24)))
        check(all(answers[i] == alone[names[i % 3]] for i in range(24)), f"{answers} {alone}")
        loaded = {m["name"]: m for m in server.json("GET", "/api/ps")["models"]}
        check(set(loaded) == {f"{name}:latest" for name in names} and len({m["weights"] for m in loaded.values()}) == 1, f"one base: {loaded}")
        check(server.metric("bases_loaded") == 1 and server.metric("models_loaded") == 3, "one base in the metrics")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            going = [pool.submit(ask, server, name) for name in names]
            for _ in range(5):
                ask(server, "first", tokens=1, keep_alive=0)
            check([one.result() for one in going] == [alone[name] for name in names], "an adapter that is unloaded disturbs nobody")
        wait_for(lambda: "first:latest" not in {m["name"] for m in server.json("GET", "/api/ps")["models"]}, "the adapter is given up")
        check(ask(server, "first") == alone["first"] and ask(server, "tiny") == alone["tiny"], "and is loaded again")
        server.stop()


def store(program):
    """What is in the store is served by its name, with what its Modelfile says, as soon as it is there."""
    def create(name, *lines):
        (program.folder / "Modelfile").write_text("\n".join(lines) + "\n")
        program.run("create", name, "-f", program.folder / "Modelfile")

    def ask(server, name, **more):
        return server.json("POST", "/api/chat", {"model": name, "stream": False, "messages": [{"role": "user", "content": "then"}], **more})

    greedy = ["PARAMETER temperature 0", "PARAMETER num_predict 6", "PARAMETER repeat_penalty 1"]
    with Server(program) as server:
        check(server.json("GET", "/api/tags")["models"] == [], "an empty store")
        create("plain", f"FROM {program.tiny_model()}", *greedy, 'LICENSE """mine"""')
        tags = server.json("GET", "/api/tags")["models"]
        check([m["name"] for m in tags] == ["plain:latest"] == [m["id"] for m in server.json("GET", "/v1/models")["data"]] and tags[0]["details"]["family"] == "llama" and len(tags[0]["digest"]) == 64, f"{tags}")
        plain = ask(server, "plain")
        check(plain["eval_count"] <= 6, "its parameters are used")
        create("words", "FROM plain", "SYSTEM be brief", "MESSAGE user hi", "MESSAGE assistant ho")
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "then"}]
        check(ask(server, "words")["prompt_eval_count"] == ask(server, "plain", messages=messages)["prompt_eval_count"] > plain["prompt_eval_count"], "system message and examples")
        create("tuned", "FROM plain", f"ADAPTER {program.folder / 'first'}")
        tuned = ask(server, "tuned", options={"num_predict": 30})
        check(tuned["message"]["content"] != ask(server, "plain", options={"num_predict": 30})["message"]["content"], "its adapter is used")
        check(len({m["weights"] for m in server.json("GET", "/api/ps")["models"]}) == 1, "names of one blob share one base")
        shown = server.json("POST", "/api/show", {"model": "words"})
        check(shown["system"] == "be brief" and "SYSTEM" in shown["modelfile"] and shown["license"] == "mine" and "num_predict" in shown["parameters"] and shown["details"]["family"] == "llama", f"{shown}")
        create("words", "FROM plain", "SYSTEM be brief and more")
        check(ask(server, "words")["prompt_eval_count"] != plain["prompt_eval_count"] and server.json("POST", "/api/show", {"model": "words"})["system"] == "be brief and more", "a replaced model")
        program.run("rm", "words")
        check("not found" in ask_missing(server, "words"), "a removed model")
        # Parameters that hone has not, and those that anybody may have written into a model that was pulled: told of, never in the way.
        create("odd", "FROM plain", "PARAMETER mirostat 2", "PARAMETER num_gpu 3", "PARAMETER penalize_newline false")
        models = pathlib.Path(program.environment["HONE_MODELS"])
        manifests = models / "manifests/registry.ollama.ai/library"
        manifest = json.loads((manifests / "odd/latest").read_text())
        params = json.dumps({"temperature": 0, "num_predict": 6, "repeat_penalty": 1, "top_p": 7, "top_k": "many", "mirostat": 2, "typical_p": 0.3, "wings": {"a": 1}}).encode()
        layer = next(layer for layer in manifest["layers"] if layer["mediaType"].endswith("params"))
        layer.update(digest="sha256:" + hashlib.sha256(params).hexdigest(), size=len(params))
        (models / "blobs" / layer["digest"].replace(":", "-")).write_bytes(params)
        (manifests / "odder").mkdir()
        (manifests / "odder/latest").write_text(json.dumps(manifest))
        for name in ("odd", "odder"):
            check(ask(server, name)["message"]["content"] == plain["message"]["content"], f"{name} answers as the model it is made from")
            asked = {"model": name, "max_tokens": 6, "messages": [{"role": "user", "content": "then"}]}
            check(server.json("POST", "/v1/chat/completions", asked)["choices"] and server.json("POST", "/v1/messages", asked)["content"] is not None, f"{name} in the other dialects")
        check("wings" in server.json("POST", "/api/show", {"model": "odder"})["parameters"], "what was written is shown")
        check(program.run("run", "odder", "then") == program.run("run", "odd", "then"), "hone run, too")
        check(ask(server, "plain", options={"mirostat": 2, "tfs_z": 0.5, "wings": 1})["message"]["content"] == plain["message"]["content"], "options that Ollama passes over")
        server.stop()


def store_routes(program):
    """The store over HTTP: create from a name and from a sent file, copy, delete, pull and push; answers go on meanwhile."""
    with Server(program) as server:
        data = program.tiny_model().read_bytes()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        other = "sha256:" + "0" * 64
        check(server.ask("HEAD", f"/api/blobs/{other}")[0] == 404, "a blob that is not there")
        check("digest" in server.json("POST", f"/api/blobs/{other}", data, expect=400)["error"], "a blob with another digest")
        check(server.ask("POST", f"/api/blobs/{digest}", data)[0] == 201 and server.ask("HEAD", f"/api/blobs/{digest}")[0] == 200, "a blob is sent")
        lines = server.lines("/api/create", {"model": "sent", "files": {"tiny.gguf": digest}, "system": "be brief", "parameters": {"temperature": 0, "num_predict": 5, "stop": ["xyz"]}, "license": "mine"})
        check(lines[-1] == {"status": "success"} and {"status": "writing manifest"} in lines, f"{lines}")
        shown = server.json("POST", "/api/show", {"model": "sent"})
        check(shown["system"] == "be brief" and shown["license"] == "mine" and "xyz" in shown["parameters"], f"{shown}")
        lines = server.lines("/api/create", {"model": "noted", "from": "sent", "parameters": {"mirostat": 1}})
        check(any(line["status"].startswith("note: mirostat") for line in lines) and lines[-1] == {"status": "success"}, f"{lines}")
        for bad in ({"parameters": {"top_p": 7}}, {"parameters": {"temprature": 1}}, {"messages": [{"role": "tool", "content": "x"}]},
                    {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]}):
            check(server.json("POST", "/api/create", {"model": "bad", "from": "sent", **bad}, expect=400)["error"], f"{bad}")
        check(server.ask("DELETE", "/api/delete", {"model": "noted"})[0] == 200, "delete")
        check(server.json("POST", "/api/create", {"model": "child", "from": "sent", "system": "you", "stream": False}) == {"status": "success"}, "create from a name")
        check(server.json("POST", "/api/generate", {"model": "child", "prompt": "then", "stream": False})["eval_count"] <= 5, "it answers")
        check(server.ask("POST", "/api/copy", {"source": "child", "destination": "team/twin:v1"})[0] == 200, "copy")
        check(server.ask("DELETE", "/api/delete", {"model": "child"})[0] == 200, "delete")
        check({m["name"] for m in server.json("GET", "/api/tags")["models"]} >= {"sent:latest", "team/twin:v1"} and "not found" in ask_missing(server, "child"), "what is left")
        check(server.json("POST", "/api/copy", {"source": "none", "destination": "x"}, expect=404)["error"], "copy of nothing")
        # What cannot be read any more can still be removed.
        longer = data + bytes(64)
        digest = "sha256:" + hashlib.sha256(longer).hexdigest()
        check(server.ask("POST", f"/api/blobs/{digest}", longer)[0] == 201 and server.lines("/api/create", {"model": "broken", "files": {"tiny.gguf": digest}})[-1] == {"status": "success"}, "a model of its own blob")
        blob = next(pathlib.Path(program.environment["HONE_MODELS"]).rglob(digest.replace(":", "-")))
        blob.chmod(0o644)
        os.truncate(blob, 1000)
        check("error" in server.json("POST", "/api/generate", {"model": "broken", "prompt": "x"}, expect=400), "a damaged model")
        check(server.ask("DELETE", "/api/delete", {"model": "broken"})[0] == 200 and "not found" in ask_missing(server, "broken") and not blob.exists(), "is removed")
        # Nobody listens there: an error, as the last line or with a status.
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            body = {"model": f"localhost:{closed.getsockname()[1]}/team/x:v1", "insecure": True}
            started = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pulled = pool.submit(server.ask, "POST", "/api/pull", body)
                check(server.json("POST", "/api/generate", {"model": "sent", "prompt": "then", "stream": False})["done"], "answers go on meanwhile")
                server.stop()
                status, _, answer = pulled.result()
            check("error" in json.loads(answer.splitlines()[-1]) and time.monotonic() - started < 25, f"{status} {answer}")


def ask_missing(server, name):
    return server.json("POST", "/api/generate", {"model": name, "prompt": "x"}, expect=404)["error"]


def environment(program):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    program.environment["HONE_HOST"] = f"127.0.0.1:{port}"
    process = program.start("serve", program.tiny_model())
    line = process.stdout.readline()
    check(f"127.0.0.1:{port}" in line, f"HONE_HOST: {line}")
    check("another server" in program.run("serve", program.tiny_model(), expect=1), "an address that is taken")
    process.terminate()
    check(process.wait(timeout=20) == 0, "the end")
    program.environment["HONE_HOST"] = "127.0.0.1:port"
    program.run("serve", program.tiny_model(), expect=2)
    del program.environment["HONE_HOST"]
    check("no such model" in program.run("serve", program.folder / "none.gguf", expect=2), "a model that is not there")


def run(program):
    program.run("train", program.config("serve.yaml", training__output_dir=program.folder / "tuned", training__max_steps=10, training__learning_rate=5e-2))
    with Server(program, f"tiny={program.tiny_model()}", "--adapter", f"tuned={program.folder / 'tuned'}") as server:
        for part in (ollama, openai, token_by_token, words_stay_words, batch, refusals, malformed_http, origins, leaving):
            started = time.monotonic()
            part(server)
            print(f"{part.__name__}: {time.monotonic() - started:.1f} s", flush=True)
        server.stop()
    for part in (adapters, store, store_routes, keys_and_tls, limits, environment):
        part(program)
        print(part.__name__, flush=True)


main(run)
