"""Calls of the published clients and of hone's own, run by check_clients.py in an environment that holds them:
client_calls.py PORT ADDRESS MODEL-OF-100-MB, where ADDRESS is the server's when nobody names one."""
import asyncio
import concurrent.futures
import json
import os
import sys
import time

import anthropic
import httpx
import ollama
import openai

from hone import AsyncClient, Client, HoneError, generate

PORT, LARGE = int(sys.argv[1]), sys.argv[3]
URL = f"http://127.0.0.1:{PORT}"
GREEDY = {"temperature": 0, "num_predict": 8}


def seeded(i):
    return {"temperature": 1.5, "num_predict": 8, "seed": i}


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def fails(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was expected")


def requests():
    return float(next(line.split()[1] for line in httpx.get(URL + "/metrics").text.splitlines() if line.startswith("hone_http_requests_total")))


def ollama_client():
    client = ollama.Client(host=URL)
    messages = [{"role": "user", "content": "then this"}]
    whole = client.chat(model="tiny", messages=messages, options=GREEDY)
    check(whole.message.role == "assistant" and whole.done and whole.eval_count > 0, f"{whole}")
    pieces = list(client.chat(model="tiny", messages=messages, options=GREEDY, stream=True))
    check("".join(p.message.content for p in pieces) == whole.message.content and pieces[-1].done, "a streamed chat")
    text = client.generate(model="tiny", prompt="then", options=GREEDY)
    check(text["response"] == "".join(p["response"] for p in client.generate(model="tiny", prompt="then", options=GREEDY, stream=True)), "generate")
    check(len(client.embed(model="tiny", input=["a", "b"]).embeddings) == 2 and len(client.embeddings(model="tiny", prompt="a").embedding) == 64, "embeddings")
    check([m.model for m in client.list().models] == ["tiny:latest", "tools:latest", "tiny-stored:latest"], f"{client.list()}")
    check(client.show("tiny").details.family == "llama", "show")
    check(client.ps().models[0].model == "tiny:latest", "ps")
    check([p.status for p in client.create(model="mine", modelfile="FROM tiny-stored\nSYSTEM be brief", stream=True)][-1] == "success", "create")
    client.copy("mine", "team/mine:v1")
    check({m.model for m in client.list().models} >= {"mine:latest", "team/mine:v1"} and client.show("team/mine:v1").details.family == "llama", "copy")
    check(client.chat(model="team/mine:v1", messages=messages, options=GREEDY).done, "a chat with it")
    for name in ("mine", "team/mine:v1"):
        check(client.delete(name).status == "success", "delete")
    check(client.create(model="large", modelfile=f"FROM {LARGE}").status == "success" and client.show("large").details.family == "llama", "a file of 100 MB")
    client.delete("large")
    fails(ollama.ResponseError, lambda: client.pull("127.0.0.1:9/x/y:z", insecure=True))
    error = fails(ollama.ResponseError, lambda: client.chat(model="none", messages=messages))
    check(error.status_code == 404 and "not found" in error.error, f"{error}")
    error = fails(ollama.ResponseError, lambda: client.generate(model="tiny", prompt="x", options={"top_p": 7}))
    check(error.status_code == 400 and "options.top_p" in error.error, f"{error}")

    def add(a: int, b: int) -> int:
        """Add two numbers.

        Args:
          a: The first
          b: The second
        """
        return a + b

    more = messages + [{"role": "assistant", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}]}, {"role": "tool", "content": "3"}]
    answer = client.chat(model="tools", messages=more, tools=[add], options=GREEDY)
    plain = client.chat(model="tools", messages=more, options=GREEDY)
    check(answer.prompt_eval_count > plain.prompt_eval_count + 50, "the template shows the tools")

    async def tasks():
        many = ollama.AsyncClient(host=URL)
        return await asyncio.gather(*(many.generate(model="tiny", prompt="then", options=GREEDY) for _ in range(6)))
    check({answer.response for answer in asyncio.run(tasks())} == {text["response"]}, "six tasks at once")


def openai_client():
    client = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "then this"}]
    whole = client.chat.completions.create(model="tiny", messages=messages, temperature=0, max_tokens=8)
    check(whole.choices[0].message.role == "assistant" and whole.usage.total_tokens > 0, f"{whole}")
    chunks = list(client.chat.completions.create(model="tiny", messages=messages, temperature=0, max_tokens=8, stream=True, stream_options={"include_usage": True}))
    check("".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content, "a streamed chat")
    check(chunks[-1].usage == whole.usage and chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason, f"{chunks[-2:]}")
    word = httpx.post(URL + "/tokenize", json={"model": "tiny", "content": "then"}).json()["tokens"][-1]
    ask = {"model": "tiny", "messages": messages, "temperature": 0, "max_tokens": 24, "logit_bias": {str(word): 100}}
    alone = client.chat.completions.create(**ask)
    foreseen = client.chat.completions.create(**ask, prediction={"type": "content", "content": alone.choices[0].message.content})
    check(foreseen.choices[0].message == alone.choices[0].message, f"a prediction changes no answer: {foreseen}")
    check(alone.usage.completion_tokens_details is None and foreseen.usage.completion_tokens_details.accepted_prediction_tokens > 4, f"{foreseen.usage}")
    error = fails(openai.BadRequestError, lambda: client.chat.completions.create(**ask, prediction={"type": "content", "content": 5}))
    check(error.param == "prediction.content", f"{error.param}")
    text = client.completions.create(model="tiny", prompt="then", temperature=0, max_tokens=6, echo=True)
    check(text.choices[0].text.startswith("then"), f"{text}")
    check("".join(c.choices[0].text for c in client.completions.create(model="tiny", prompt="then", temperature=0, max_tokens=6, echo=True, stream=True)) == text.choices[0].text, "streamed")
    vectors = client.embeddings.create(model="tiny", input=["a", "b"])
    as_floats = client.embeddings.create(model="tiny", input=["a", "b"], encoding_format="float")
    check(len(vectors.data[0].embedding) == 64 and max(abs(x - y) for x, y in zip(vectors.data[1].embedding, as_floats.data[1].embedding)) < 1e-6, "embeddings in base64 and as numbers")
    check([m.id for m in client.models.list()] == ["tiny", "tools", "tiny-stored:latest"] and client.models.retrieve("tiny").id == "tiny", "models")
    error = fails(openai.NotFoundError, lambda: client.chat.completions.create(model="none", messages=messages))
    check(error.code == "model_not_found", f"{error}")
    error = fails(openai.BadRequestError, lambda: client.chat.completions.create(model="tiny", messages=messages, temperature=-1))
    check(error.param == "temperature", f"{error.param}")
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    with_tools = client.chat.completions.create(model="tools", messages=messages, tools=[tool], temperature=0, max_tokens=4)
    check(with_tools.usage.prompt_tokens > 100, "the template shows the tools")
    tool["function"]["parameters"] = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 3}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}
    other = {"type": "function", "function": {"name": "sub", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}
    for seed, choice in enumerate(["required", {"type": "function", "function": {"name": "add"}}, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "add"}}]}}]):
        forced = client.chat.completions.create(model="tools", messages=messages, tools=[tool, other], tool_choice=choice, temperature=1.5, seed=seed, max_tokens=300).choices[0]
        call = forced.message.tool_calls[0].function
        arguments = json.loads(call.arguments)
        check(forced.finish_reason == "tool_calls" and len(forced.message.tool_calls) == 1 and (call.name == "sub" and not arguments and choice == "required" or call.name == "add" and arguments["a"] in (1, 2, 3) and arguments["b"] in ("x", "y")), f"{choice}: {forced}")
    fails(openai.BadRequestError, lambda: client.chat.completions.create(model="tools", messages=messages, tools=[tool], tool_choice={"type": "function", "function": {"name": "none"}}))
    error = fails(openai.BadRequestError, lambda: client.completions.create(model="tiny", prompt="a", suffix="b"))
    check("suffix" in str(error), f"{error}")
    responses(client, tool["function"])


def responses(client, function):
    """/v1/responses: whole, streamed, several turns, JSON, calls."""
    ask = {"model": "tiny", "input": "then this", "temperature": 0, "max_output_tokens": 8}
    whole = client.responses.create(**ask)
    chat = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "then this"}], temperature=0, max_tokens=8)
    check(whole.output_text == chat.choices[0].message.content and whole.usage.input_tokens == chat.usage.prompt_tokens and whole.store is False, f"{whole}")
    check(whole.status == ("incomplete" if chat.choices[0].finish_reason == "length" else "completed"), f"{whole.status}")
    events = list(client.responses.create(**ask, stream=True))
    kinds = [event.type for event in events]
    check([event.sequence_number for event in events] == list(range(len(events))), "sequence numbers")
    check(kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"], f"{kinds}")
    check(kinds[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"] and kinds[-1] == f"response.{whole.status}", f"{kinds}")
    check("".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text == events[-1].response.output_text, "a stream")
    with client.responses.stream(**ask) as stream:
        check(stream.get_final_response().output_text == whole.output_text if whole.status == "completed" else list(stream), "the client's own reading of a stream")
    turns = [{"role": "user", "content": [{"type": "input_text", "text": "then this"}]}, {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{\"a\": 1}"},
             {"type": "function_call_output", "call_id": "c1", "output": "3"}]
    tool = dict(function, type="function", strict=True)
    more = client.responses.create(model="tools", input=turns, tools=[tool], instructions="be brief", max_output_tokens=4, truncation="auto")
    check(more.usage.input_tokens > 100 and more.tools[0].name == "add", f"{more}")
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"], "additionalProperties": False}
    held = client.responses.create(model="tiny", input="x", text={"format": {"type": "json_schema", "name": "n", "schema": schema}}, temperature=1.5, max_output_tokens=200, extra_body={"seed": 4})
    check(1 <= json.loads(held.output_text)["n"] <= 9, f"{held.output_text}")
    for stream in (False, True):
        called = client.responses.create(model="tools", input="x", tools=[tool], tool_choice="required", parallel_tool_calls=False, temperature=1.5, max_output_tokens=300, extra_body={"seed": 2}, stream=stream)
        if stream:
            seen = list(called)
            called = seen[-1].response
            check({"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= {event.type for event in seen}, f"{seen}")
        check([item.type for item in called.output] == ["function_call"] and json.loads(called.output[0].arguments)["a"] in (1, 2, 3) and called.output[0].name == "add", f"{called}")
    for wrong in ({"previous_response_id": "resp_1"}, {"background": True}, {"input": [{"type": "item_reference", "id": "x"}]}, {"tools": [{"type": "web_search"}]}, {"input": []}, {"temperature": -1}):
        fails(openai.BadRequestError, lambda: client.responses.create(**dict(ask, **wrong)))


def anthropic_client():
    client = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0)
    ask = {"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": "then this"}], "extra_body": {"seed": 1}, "temperature": 0}
    whole = client.messages.create(**ask)
    check(whole.type == "message" and whole.role == "assistant" and whole.content[0].type == "text" and whole.stop_reason in ("end_turn", "max_tokens"), f"{whole}")
    check(whole.usage.output_tokens <= 8 and whole.usage.input_tokens == client.messages.count_tokens(model="tiny", messages=ask["messages"]).input_tokens, f"{whole.usage}")
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    check(text == whole.content[0].text == last.content[0].text and last.stop_reason == whole.stop_reason and last.usage.output_tokens == whole.usage.output_tokens, f"a stream: {last}")
    events = [event.type for event in client.messages.create(stream=True, **ask)]
    check(events[:2] == ["message_start", "content_block_start"] and events[-3:] == ["content_block_stop", "message_delta", "message_stop"] and "content_block_delta" in events, f"{events}")
    stop = text[2:5]
    stopped = client.messages.create(stop_sequences=["never said", stop], **ask)
    check(stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == stop and "".join(block.text for block in stopped.content) == text.split(stop)[0], f"{stopped}")
    brief = client.messages.create(system="be brief", top_k=5, top_p=0.9, **ask)
    check(brief.usage.input_tokens > whole.usage.input_tokens, "a system prompt")
    tool = {"name": "add", "description": "adds", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    more = [*ask["messages"], {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}]}]
    check(client.messages.create(**dict(ask, model="tools", messages=more, tools=[tool])).usage.input_tokens > 100, "the template shows the tools and their results")
    for choice in ({"type": "any"}, {"type": "tool", "name": "add"}):
        forced = client.messages.create(**dict(ask, model="tools", max_tokens=200, temperature=1.5, tools=[dict(tool, input_schema={"type": "object", "properties": {"a": {"const": 7}}, "required": ["a"]})], tool_choice=choice))
        check(forced.stop_reason == "tool_use" and [(block.type, block.input) for block in forced.content] == [("tool_use", {"a": 7})], f"{choice}: {forced}")
    check(client.messages.create(thinking={"type": "enabled", "budget_tokens": 1024}, **ask).content, "thinking may be asked for")
    error = fails(anthropic.NotFoundError, lambda: client.messages.create(**dict(ask, model="none")))
    check(error.body["error"]["type"] == "not_found_error", f"{error.body}")
    error = fails(anthropic.BadRequestError, lambda: client.messages.create(**dict(ask, temperature=-1)))
    check(error.body["type"] == "error" and "temperature" in error.body["error"]["message"], f"{error.body}")
    fails(anthropic.BadRequestError, lambda: client.messages.create(**dict(ask, messages=[])))

    async def tasks():
        many = anthropic.AsyncAnthropic(base_url=URL, api_key="none")
        return await asyncio.gather(*(many.messages.create(**ask) for _ in range(6)))
    check({answer.content[0].text for answer in asyncio.run(tasks())} == {text}, "six tasks at once")


def own_client():
    with generate.Client(URL, batch_size=8, batch_timeout=0.3) as client:
        alone = client.generate("tiny", "then", options=GREEDY)
        check(alone.text and alone.done_reason in ("stop", "length") and alone.answer_tokens > 0, f"{alone}")
        before = requests()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda i: client.generate("tiny", "then", options=seeded(i)), range(16)))
        used = requests() - before - 1
        check(used == 2, f"16 calls of threads with batch_size 8 travelled in {used} requests")
        check(answers[3].text == client.generate("tiny", "then", options=seeded(3)).text and len({a.text for a in answers}) > 1, "each has its own answer")
        mixed = client.generate_many("tiny", ["then", [{"role": "user", "content": "then"}], ""], options=GREEDY)
        check(mixed[0].text == alone.text == mixed[1].text and isinstance(mixed[2], HoneError) and mixed[2].status == 400, f"{mixed}")
        error = fails(HoneError, lambda: client.generate("none", "x"))
        check(error.status == 404, f"{error}")
        pieces = list(client.stream("tiny", "then", options=GREEDY))
        check("".join(p.text for p in pieces) == alone.text and pieces[-1].done_reason, "a stream")
        check(fails(HoneError, lambda: list(client.stream("none", "then"))).status == 404, "a stream that fails")
        started = time.monotonic()
        client.generate("tiny", "then", options=GREEDY)
        check(time.monotonic() - started >= 0.3, "a call alone waits for the batch's time")
    fails(ValueError, lambda: Client(batch_size=0))
    with Client(URL, batch_timeout=60) as client:
        started = time.monotonic()
        client.generate_many("tiny", ["then", "this"], options=GREEDY)
        check(time.monotonic() - started < 30, "generate_many does not wait for the batch's time")
    with Client("127.0.0.1:1", batch_timeout=0) as client:
        check(fails(HoneError, lambda: client.generate("tiny", "x")).status == 0, "no server")

    async def tasks():
        async with AsyncClient(URL, batch_size=32, batch_timeout=0.1) as client:
            before = requests()
            answers = await client.generate_many("tiny", [f"then {i}" for i in range(10)] + [""], options=GREEDY)
            used = requests() - before - 1
            check(used == 1, f"11 tasks travelled in {used} requests")
            check(isinstance(answers[-1], HoneError) and answers[3].text == (await client.generate("tiny", "then 3", options=GREEDY)).text, f"{answers}")
            text = "".join([piece.text async for piece in client.stream("tiny", "then 3", options=GREEDY)])
            check(text == answers[3].text, "a stream")
        async with AsyncClient(URL, batch_timeout=60) as client:
            started = time.monotonic()
            await client.generate_many("tiny", ["then", "this"], options=GREEDY)
            check(time.monotonic() - started < 30, "generate_many does not wait for the batch's time")
        check("closed" in str(await raised(client.generate("tiny", "then"))), "a closed client takes no calls")
        async with AsyncClient("127.0.0.1:1") as client:
            answers = await client.generate_many("tiny", ["a", "b"])
            check([type(a) for a in answers] == [HoneError, HoneError] and answers[0].status == 0, f"no server: {answers}")

    async def raised(call):
        try:
            await call
        except RuntimeError as error:
            return error
    asyncio.run(tasks())


def line_ends():
    """What Unicode calls a line end may stand inside an answer: streams of lines and events come whole to clients that cut there."""
    said = "a\u2028b\u2029c\x85d\x1ce\x0bf\x0cg😀"
    schema = {"type": "object", "properties": {"x": {"const": said}}, "required": ["x"]}
    messages = [{"role": "user", "content": "then"}]
    options = dict(GREEDY, num_predict=200)
    # As the ollama package reads its streams; this version of it sends no schemas itself.
    with httpx.stream("POST", URL + "/api/chat", json={"model": "tiny", "messages": messages, "format": schema, "options": options}, timeout=60) as response:
        text = "".join(json.loads(line)["message"]["content"] for line in response.iter_lines())
    check(json.loads(text) == {"x": said}, f"ollama: {text!r}")
    chunks = openai.OpenAI(base_url=URL + "/v1", api_key="x").chat.completions.create(model="tiny", messages=messages, temperature=0, max_tokens=200, stream=True,
                                                                                      response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check(json.loads(text) == {"x": said}, f"openai: {text!r}")
    with Client(URL) as own:
        text = "".join(piece.text for piece in own.stream("tiny", messages, options=options, format=schema))
        check(json.loads(text) == {"x": said}, f"hone: {text!r}")
        check(json.loads(own.generate("tiny", messages, options=options, format=schema).text) == {"x": said}, "hone, in a batch")
    # A server that escapes nothing, as others are, and pieces of bytes that end anywhere.
    lines, data = generate._Lines(), json.dumps({"x": said}, ensure_ascii=False).encode() + b"\n{}\n\n[1]"
    found = [line for at in range(0, len(data), 3) for line in lines.take(data[at:at + 3])] + lines.rest()
    check([json.loads(line) for line in found] == [{"x": said}, {}, [1]], f"{found}")


def addresses():
    """$HONE_HOST and `host` mean what they mean to the server."""
    os.environ.pop("HONE_HOST", None)
    found = lambda host: str(Client(host)._http.base_url).rstrip("/")
    check(found(None) == found("127.0.0.1") == found("http://127.0.0.1/") == "http://" + sys.argv[2], f"the server's address is {sys.argv[2]}, the client's {found(None)}")
    for host, url in {":8080": "http://127.0.0.1:8080", "0.0.0.0:9": "http://127.0.0.1:9", "::1": "http://[::1]:11434", "[::]:7": "http://[::1]:7", "example.org": "http://example.org:11434",
                      "https://example.org:8443/hone/": "https://example.org:8443/hone"}.items():
        check(found(host) == url, f"{host}: {found(host)}, expected {url}")
    for bad in ("example.org:port", "example.org:65536", "[::1"):
        check(bad in str(fails(ValueError, lambda: Client(bad))), bad)
    os.environ["HONE_HOST"] = f":{PORT}"
    with Client(batch_timeout=0) as client:
        check(client.generate("tiny", "then", options=GREEDY).text, "$HONE_HOST")


for part in (ollama_client, openai_client, anthropic_client, own_client, line_ends, addresses):
    part()
    print(part.__name__, flush=True)
