#!/usr/bin/env python3
"""Fields of requests: each that would change the answer is followed or refused with its name, in every dialect, and none is passed over unsaid."""
import json

from hone_program import check, main
from serve_program import Server

HI = [{"role": "user", "content": "then this"}]
SCHEMA = {"type": "object", "required": ["count"], "additionalProperties": False, "properties": {"count": {"enum": [1, 2, 30]}}}


class Dialect:
    def __init__(self, server, path, body, text):
        self.server, self.path, self.body, self.text = server, path, {"model": "tiny", **body}, text

    def answer(self, **fields):
        return self.server.json("POST", self.path, {**self.body, **fields})

    def says(self, **fields):
        return self.text(self.answer(**fields))

    def refuses(self, named, **fields):
        error = self.server.json("POST", self.path, {**self.body, **fields}, expect=400)["error"]
        message = error if isinstance(error, str) else f"{error.get('param')} {error['message']}"
        check(named in message, f"{self.path} {fields}: expected {named} to be named: {error}")


def dialects(server):
    blocks = lambda a: "".join(b.get("text", "") for b in a["content"])
    return {
        "chat": Dialect(server, "/v1/chat/completions", {"messages": HI, "temperature": 0, "max_tokens": 8}, lambda a: a["choices"][0]["message"]["content"]),
        "completion": Dialect(server, "/v1/completions", {"prompt": "then this", "temperature": 0, "max_tokens": 8}, lambda a: a["choices"][0]["text"]),
        "response": Dialect(server, "/v1/responses", {"input": "then this", "temperature": 0, "max_output_tokens": 8}, lambda a: "".join(p["text"] for i in a["output"] if i["type"] == "message" for p in i["content"])),
        "message": Dialect(server, "/v1/messages", {"messages": HI, "temperature": 0, "max_tokens": 8}, blocks),
        "ollama_chat": Dialect(server, "/api/chat", {"messages": HI, "stream": False, "options": {"temperature": 0, "num_predict": 8}}, lambda a: a["message"]["content"]),
        "ollama": Dialect(server, "/api/generate", {"prompt": "then this", "stream": False, "options": {"temperature": 0, "num_predict": 8}}, lambda a: a["response"]),
    }


def schemas(d):
    """Wherever a dialect takes a schema, the answer follows it; an empty schema is any JSON, not none."""
    format = {"type": "json_schema", "schema": SCHEMA}
    forms = [("message", {"output_config": {"format": format}}), ("message", {"output_format": format}), ("chat", {"response_format": {"type": "json_object", "schema": SCHEMA}}),
             ("chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}), ("response", {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}),
             ("ollama", {"format": SCHEMA}), ("ollama_chat", {"format": SCHEMA}), ("completion", {"response_format": {"type": "json_object", "schema": SCHEMA}})]
    more = {"message": {"max_tokens": 300}, "chat": {"max_tokens": 300}, "completion": {"max_tokens": 300}, "response": {"max_output_tokens": 300}, "ollama": {"options": {"temperature": 0, "num_predict": 300}}, "ollama_chat": {"options": {"temperature": 0, "num_predict": 300}}}
    for name, fields in forms:
        text = d[name].says(**fields, **more[name])
        try:
            held = json.loads(text)["count"] in (1, 2, 30)
        except ValueError:
            held = False
        check(held, f"{name} {fields}: {text!r}")
    # Sampled hot, prose never parses by chance; any JSON that ends does.
    for seed in range(8):
        one = d["ollama"].answer(format={}, options={"temperature": 1.5, "seed": seed, "num_predict": 40})
        check(one["done_reason"] == "length" or json.loads(one["response"]) is not ..., f"any JSON: {one}")
        check(one["response"].lstrip()[:1] in set('{["-0123456789tfn'), f"any JSON: {one['response']!r}")
    d["message"].refuses("thinking", output_config={"format": format}, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    d["message"].refuses("output_config.format.type", output_config={"format": {"type": "grammar"}})
    d["message"].refuses("output_config.format.schema", output_config={"format": {"type": "json_schema"}})
    d["message"].says(output_config={"effort": "low"})


def conversations(d):
    """A turn without its words, or of a role that nobody knows, is an error, not an empty turn."""
    for turn in ({"role": "wizard", "content": "x"}, {"role": "user"}, {"role": "user", "content": None}, {"role": "system", "content": None}, {"role": "tool", "tool_call_id": "a"}):
        d["chat"].refuses("messages[0]", messages=[turn, *HI])
    d["response"].refuses("input[0]", input=[{"role": "user", "content": None}])
    d["response"].refuses("input[0]", input=[{"role": "wizard", "content": "x"}])
    for role in ("system", "developer", "user", "assistant"):
        d["chat"].says(messages=[{"role": role, "content": "x"}, *HI])


def efforts(d):
    for name in ("chat",):
        for word in ("none", "minimal", "low", "medium", "high", "xhigh", "max", None):
            d[name].says(reasoning_effort=word)
        d[name].refuses("reasoning_effort", reasoning_effort="wow")
        d[name].refuses("reasoning_effort", reasoning_effort=5)
        d[name].refuses("thinking", thinking={"type": "sometimes"})
        d[name].says(thinking={"type": "disabled"}, enable_thinking=False)
    d["response"].says(reasoning={"effort": "high"})
    d["response"].refuses("reasoning.effort", reasoning={"effort": "wow"})


def continued(d):
    """A last message of the assistant is gone on with, unless the request says that it is a turn of its own."""
    turns = [*HI, {"role": "assistant", "content": "then"}]
    going_on = d["chat"].answer(messages=turns)["usage"]["prompt_tokens"]
    check(d["chat"].answer(messages=turns, continue_final_message=True)["usage"]["prompt_tokens"] == going_on, "going on is the default")
    check(d["chat"].answer(messages=turns, continue_final_message=False)["usage"]["prompt_tokens"] > going_on, "another turn begins")


def tokens(d):
    d["chat"].refuses("logit_bias", logit_bias={"100000": 5})
    d["completion"].refuses("logit_bias", logit_bias={"-1": 5})
    spread, plain = d["completion"].says(repeat_penalty=5, max_tokens=30), d["completion"].says(max_tokens=30)
    check(d["completion"].says(repetition_penalty=5, max_tokens=30) == spread != plain, "the penalty under both of its names")
    long = [{"role": "user", "content": "the that " * 50}] * 30 + HI
    check(d["ollama_chat"].answer(messages=long)["done"], "what is too long loses its oldest turns")
    d["ollama_chat"].refuses("context", messages=long, truncate=False)


def refused(d):
    """What is known and not computed is refused by its name, and its neutral values are fine."""
    openai = {"min_tokens": (5, 0), "ignore_eos": (True, False), "stop_token_ids": ([5], []), "guided_json": ({"type": "object"}, None), "guided_regex": ("x", None), "grammar": ("root ::= \"x\"", ""), "use_beam_search": (True, False),
              "length_penalty": (2, 1), "typical_p": (0.5, 1.0), "xtc_probability": (0.5, 0), "dry_multiplier": (0.8, 0), "dynatemp_range": (0.5, 0), "structured_outputs": ({"regex": "x"}, None)}
    cases = {"chat": {**openai, "functions": ([{"name": "f"}], []), "function_call": ({"name": "f"}, "auto"), "modalities": (["text", "audio"], ["text"]), "audio": ({"voice": "x"}, None), "web_search_options": ({}, None)},
             "completion": openai,
             "response": {"previous_response_id": ("resp_1", None), "background": (True, False), "conversation": ("conv_1", None), "prompt": ({"id": "x"}, None), "top_logprobs": (3, 0)},
             "message": {"container": ("x", None), "mcp_servers": ([{"url": "x"}], [])},
             "ollama": {"images": (["aGk="], [])}}
    for name, fields in cases.items():
        plain = d[name].says()
        for field, (changes, neutral) in fields.items():
            d[name].refuses(field, **{field: changes})
            check(d[name].says(**{field: neutral}) == plain, f"{name}: {field} {neutral} changes nothing")


def said(d, server):
    """A field that nobody knows is passed over, and the server says so once."""
    for name, one in d.items():
        plain = one.says()
        for _ in range(2):
            check(one.says(surprise_me=1) == plain, f"{name}: an unknown field")
    d["chat"].says(mirostat=2)
    d["message"].says(context_management={"edits": []})
    server.stop()
    told = server.said
    for one in d.values():
        check(told.count(f'{one.path}: the field "surprise_me" is unknown') == 1, f"{one.path} says once what it does not know: {told}")
    check("mirostat is passed over" in told and "context_management is passed over" in told, told)


def store(d, server, program):
    """Names of the command line, and the values that Ollama's own clients send."""
    model = program.tiny_model()
    for path, body in (("create", {"from": str(model)}), ("copy", {"source": "tiny", "destination": "tiny"}), ("pull", {})):
        error = server.json("POST", f"/api/{path}", {"model": "tiny", "stream": False, **body}, expect=400)["error"]
        check("command line" in error, f"{path} under a name that the command line gave: {error}")
    check("command line" in server.json("DELETE", "/api/delete", {"model": "tiny"}, expect=400)["error"], "deleting it")
    modelfile = program.folder / "Modelfile"
    modelfile.write_text(f"FROM {model}\nPARAMETER stop the\nPARAMETER top_k 7\n")
    program.run("create", "stored", "-f", modelfile)
    parameters = lambda name: dict(line.split(None, 1) for line in server.json("POST", "/api/show", {"model": name})["parameters"].splitlines())
    server.json("POST", "/api/create", {"model": "made", "from": "stored", "stream": False, "parameters": {"num_predict": 40.0, "num_ctx": 1e2, "temperature": None, "stop": []}})
    got = parameters("made")
    check(got["num_predict"] == "40" and got["num_ctx"] == "100" and got["top_k"] == "7" and "stop" not in got and "temperature" not in got, f"parameters: {got}")
    d["embedding"] = Dialect(server, "/v1/embeddings", {"input": "then"}, lambda a: a["data"][0]["embedding"])
    d["ollama_embed"] = Dialect(server, "/api/embed", {"input": "then"}, lambda a: a["embeddings"][0])
    check(len(d["embedding"].says(dimensions=5)) == 5 == len(d["ollama_embed"].says(dimensions=5)), "dimensions")
    d["embedding"].refuses("truncate_prompt_tokens", truncate_prompt_tokens=3)
    error = server.json("POST", "/api/create", {"model": "both", "from": "stored", "files": {"a.gguf": "sha256:" + "0" * 64}, "stream": False}, expect=400)["error"]
    check("from" in error and "files" in error, error)


def requests(program):
    with Server(program, f"tiny={program.tiny_model()}") as server:
        d = dialects(server)
        schemas(d)
        conversations(d)
        efforts(d)
        continued(d)
        tokens(d)
        refused(d)
        store(d, server, program)
        said(d, server)


main(requests)
