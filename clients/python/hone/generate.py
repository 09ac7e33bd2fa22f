"""Answers of a hone server. Calls made from many threads (Client) or tasks (AsyncClient) at about the same time travel as one request;
each gets its own answer, or its own error."""
from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, AsyncIterator, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import httpx

DEFAULT_PORT = 11434

Message = Mapping[str, Any]
Prompt = Union[str, Sequence[Message]]


class HoneError(Exception):
    """What the server answered instead of an answer; `status` is its HTTP status (0: it could not be reached, or broke off)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """One answer. `raw` is the server's own object, with durations in nanoseconds."""

    text: str
    model: str = ""
    thinking: str = ""
    done_reason: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    tool_calls: List[Dict[str, Any]] = field(default_factory=list)
    raw: Dict[str, Any] = field(default_factory=dict)


def _answer(line: Dict[str, Any]) -> Answer:
    message = line.get("message", line)
    return Answer(text=message.get("content", line.get("response", "")), model=line.get("model", ""), thinking=message.get("thinking", ""),
                  done_reason=line.get("done_reason", ""), prompt_tokens=line.get("prompt_eval_count", 0), answer_tokens=line.get("eval_count", 0),
                  tool_calls=message.get("tool_calls", []), raw=line)


def _request(model: str, prompt: Prompt, options: Optional[Mapping[str, Any]], more: Mapping[str, Any]) -> Dict[str, Any]:
    """A prompt is a text (as /api/generate takes it) or a list of messages (as /api/chat does)."""
    body: Dict[str, Any] = {"model": model, **more}
    if isinstance(prompt, str):
        body["prompt"] = prompt
    else:
        body["messages"] = [dict(message) for message in prompt]
    if options:
        body["options"] = dict(options)
    return body


def _route(body: Mapping[str, Any]) -> str:
    return "/api/chat" if "messages" in body else "/api/generate"


def _error(status: int, data: bytes) -> HoneError:
    try:
        message = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        message = data.decode("utf-8", "replace")[:200] or f"HTTP status {status}"
    return HoneError(message if isinstance(message, str) else str(message), status)


def _url(host: str) -> str:
    """The address of "host", "host:port", ":port" or "scheme://host:port", as `hone serve` reads $HONE_HOST: what is not said is http, this
    machine and DEFAULT_PORT. A server that listens on every address is asked on this machine's own."""
    scheme, _, rest = host.rpartition("://")
    place, slash, path = rest.partition("/")
    user, at, place = place.rpartition("@")
    if place.count(":") > 1 and not place.startswith("["):
        place = f"[{place}]"  # a bare IPv6 address
    try:
        parts = urllib.parse.urlsplit(f"//{place}")
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise ValueError(f"host: expected HOST:PORT with a port from 0 to 65535, found {host!r}") from None
    name = {None: "127.0.0.1", "": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname, parts.hostname)
    return f"{scheme or 'http'}://{user}{at}{f'[{name}]' if ':' in name else name}:{port}{slash}{path}".rstrip("/")


def _settings(host: Optional[str], api_key: Optional[str], timeout: Optional[float], verify: Any) -> Dict[str, Any]:
    key = api_key or os.environ.get("HONE_API_KEY")
    return {"base_url": _url(host or os.environ.get("HONE_HOST") or ""), "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": httpx.Timeout(timeout, connect=10.0), "verify": verify}


def _check(batch_size: int, batch_timeout: float) -> None:
    if not 1 <= batch_size <= 256:
        raise ValueError(f"batch_size: expected 1 to 256, found {batch_size}")
    if not batch_timeout >= 0:
        raise ValueError(f"batch_timeout: expected seconds of at least 0, found {batch_timeout}")


def _piece(line: Dict[str, Any]) -> Answer:
    if "error" in line:
        raise HoneError(line["error"])
    return _answer(line)


class _Lines:
    """The lines of a stream of bytes. Only a newline ends one: what Unicode and str.splitlines() call line ends may stand inside JSON."""

    def __init__(self) -> None:
        self._open = b""

    def take(self, data: bytes) -> List[str]:
        *whole, self._open = (self._open + data).split(b"\n")
        return [line.decode("utf-8") for line in whole if line]

    def rest(self) -> List[str]:
        return self.take(b"\n")


def _lines(response: httpx.Response) -> Iterator[str]:
    lines = _Lines()
    for data in response.iter_bytes():
        yield from lines.take(data)
    yield from lines.rest()


async def _alines(response: httpx.Response) -> AsyncIterator[str]:
    lines = _Lines()
    async for data in response.aiter_bytes():
        for line in lines.take(data):
            yield line
    for line in lines.rest():
        yield line


class _Batch:
    """Calls that travel as one request, each with the future (of a thread or a task) of whoever waits for it. However the block under
    `with` ends, nobody waits for ever: who has no answer by then gets what went wrong."""

    def __init__(self, calls: List[Tuple[Dict[str, Any], Any]]) -> None:
        self._calls = calls

    def body(self) -> Dict[str, Any]:
        return {"requests": [body for body, _ in self._calls]}

    def take(self, text: str) -> None:
        """Gives one line of the response to whoever waits for it."""
        if not text:
            return
        line = json.loads(text)
        index = line.get("index")
        if not isinstance(index, int) or not 0 <= index < len(self._calls):
            return
        future = self._calls[index][1]
        if future.done():  # its caller was cancelled
            return
        if "error" in line:
            future.set_exception(HoneError(line["error"], line.get("status", 0)))
        else:
            future.set_result(_answer({key: value for key, value in line.items() if key != "index"}))

    def __enter__(self) -> "_Batch":
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
        if error is None:
            failure = HoneError("the server ended the batch before this answer")
        else:
            failure = error if isinstance(error, HoneError) else HoneError(str(error) or type(error).__name__)
        for _, future in self._calls:
            if not future.done():
                future.set_exception(failure)
        return isinstance(error, Exception)  # it has been told


class Client:
    """For threads. A batch leaves when `batch_size` calls wait, or `batch_timeout` seconds after its first. `host` and `api_key` default to
    $HONE_HOST and $HONE_API_KEY, then to this machine and DEFAULT_PORT; `timeout` is the longest silence of the server in seconds (None: for ever)."""

    def __init__(self, host: Optional[str] = None, *, batch_size: int = 32, batch_timeout: float = 0.5, api_key: Optional[str] = None,
                 timeout: Optional[float] = None, verify: Any = True) -> None:
        _check(batch_size, batch_timeout)
        self.batch_size, self.batch_timeout = batch_size, batch_timeout
        self._http = httpx.Client(**_settings(host, api_key, timeout, verify))
        self._lock = threading.Lock()
        self._waiting: List[Tuple[Dict[str, Any], concurrent.futures.Future[Answer]]] = []
        self._timer: Optional[threading.Timer] = None
        self._senders: set = set()
        self._closed = False

    def submit(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> concurrent.futures.Future[Answer]:
        """The answer to come, without waiting for it. `more`: further fields of the request (system, format, think, tools …)."""
        body = _request(model, prompt, options, more)
        future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            self._waiting.append((body, future))
            if len(self._waiting) >= self.batch_size:
                self._leave()
            elif self._timer is None:
                self._timer = threading.Timer(self.batch_timeout, self.flush)
                self._timer.daemon = True
                self._timer.start()
        return future

    def generate(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> Answer:
        """Waits for the answer. Throws HoneError."""
        return self.submit(model, prompt, options=options, **more).result()

    def generate_many(self, model: str, prompts: Sequence[Prompt], *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> List[Union[Answer, HoneError]]:
        """One answer or error per prompt, in their order."""
        futures = [self.submit(model, prompt, options=options, **more) for prompt in prompts]
        self.flush()
        results: List[Union[Answer, HoneError]] = []
        for future in futures:
            try:
                results.append(future.result())
            except HoneError as error:
                results.append(error)
        return results

    def stream(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> Iterator[Answer]:
        """One call by itself: pieces of the answer as they come; the last has done_reason and counts. Throws HoneError."""
        body = _request(model, prompt, options, {**more, "stream": True})
        try:
            with self._http.stream("POST", _route(body), json=body) as response:
                if response.status_code != 200:
                    raise _error(response.status_code, response.read())
                for text in _lines(response):
                    yield _piece(json.loads(text))
        except httpx.HTTPError as error:
            raise HoneError(str(error) or type(error).__name__) from error

    def flush(self) -> None:
        """Sends what waits now."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            batch, self._waiting = _Batch(self._waiting), []
            thread = threading.Thread(target=self._send, args=(batch,), daemon=True)
            self._senders.add(thread)
            thread.start()

    def _send(self, batch: _Batch) -> None:
        try:
            with batch, self._http.stream("POST", "/api/batch", json=batch.body()) as response:
                if response.status_code != 200:
                    raise _error(response.status_code, response.read())
                for text in _lines(response):
                    batch.take(text)
        finally:
            with self._lock:
                self._senders.discard(threading.current_thread())

    def close(self) -> None:
        """Sends what waits, waits for all answers, and closes the connections."""
        with self._lock:
            self._closed = True
            self._leave()
            senders = list(self._senders)
        for thread in senders:
            thread.join()
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


class AsyncClient:
    """The same for tasks of one event loop."""

    def __init__(self, host: Optional[str] = None, *, batch_size: int = 32, batch_timeout: float = 0.5, api_key: Optional[str] = None,
                 timeout: Optional[float] = None, verify: Any = True) -> None:
        _check(batch_size, batch_timeout)
        self.batch_size, self.batch_timeout = batch_size, batch_timeout
        self._http = httpx.AsyncClient(**_settings(host, api_key, timeout, verify))
        self._waiting: List[Tuple[Dict[str, Any], asyncio.Future[Answer]]] = []
        self._timer: Optional[asyncio.TimerHandle] = None
        self._senders: set = set()
        self._closed = False

    def submit(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> asyncio.Future[Answer]:
        """The answer to come, without waiting for it; inside a running event loop."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("the client is closed")
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((_request(model, prompt, options, more), future))
        if len(self._waiting) >= self.batch_size:
            self.flush()
        elif self._timer is None:
            self._timer = loop.call_later(self.batch_timeout, self.flush)
        return future

    async def generate(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> Answer:
        """Waits for the answer. Throws HoneError."""
        return await self.submit(model, prompt, options=options, **more)

    async def generate_many(self, model: str, prompts: Sequence[Prompt], *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> List[Union[Answer, HoneError]]:
        """One answer or error per prompt, in their order."""
        futures = [self.submit(model, prompt, options=options, **more) for prompt in prompts]
        self.flush()
        return list(await asyncio.gather(*futures, return_exceptions=True))

    async def stream(self, model: str, prompt: Prompt, *, options: Optional[Mapping[str, Any]] = None, **more: Any) -> AsyncIterator[Answer]:
        """One call by itself: pieces of the answer as they come; the last has done_reason and counts. Throws HoneError."""
        body = _request(model, prompt, options, {**more, "stream": True})
        try:
            async with self._http.stream("POST", _route(body), json=body) as response:
                if response.status_code != 200:
                    raise _error(response.status_code, await response.aread())
                async for text in _alines(response):
                    yield _piece(json.loads(text))
        except httpx.HTTPError as error:
            raise HoneError(str(error) or type(error).__name__) from error

    def flush(self) -> None:
        """Sends what waits now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            batch, self._waiting = _Batch(self._waiting), []
            task = asyncio.get_running_loop().create_task(self._send(batch))
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def _send(self, batch: _Batch) -> None:
        with batch:
            async with self._http.stream("POST", "/api/batch", json=batch.body()) as response:
                if response.status_code != 200:
                    raise _error(response.status_code, await response.aread())
                async for text in _alines(response):
                    batch.take(text)

    async def close(self) -> None:
        """Sends what waits, waits for all answers, and closes the connections."""
        self._closed = True
        self.flush()
        await asyncio.gather(*self._senders, return_exceptions=True)
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()
