#!/usr/bin/env python3
"""hone run MODEL in a terminal: turns with their history, texts of several lines, settings, Ctrl-C, the end; and prompts from a pipe."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from hone_program import check, main
from serve_program import Server

# Before each line the terminal is asked to mark pasted text; an edited line shows its prompt again without that.
ASKED = "\x1b[?2004h"
PROMPT, MORE = "\0>>> ", "\0... "


class Terminal:
    """The program with a terminal around it."""

    def __init__(self, program, *words, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program.hone, ["hone", *map(str, words)], dict(program.environment, TERM="xterm", **environment))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.seen = ""

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", self.seen.replace(ASKED, "\0")).replace("\r", "")

    def until(self, what, seconds=60):
        """What stands before `what`, both of which are then forgotten."""
        end = time.monotonic() + seconds
        while what not in self.text():
            if time.monotonic() > end or not self.read(max(0.0, end - time.monotonic())):
                raise AssertionError(f"{what!r} did not come: {self.text()!r}")
        before, self.seen = self.text().split(what, 1)
        return before

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def say(self, line, until=PROMPT):
        """Types a line, and returns what is answered before the next prompt."""
        self.send(line + "\r")
        answer = self.until(until)
        return answer.split("\n", 1)[1] if "\n" in answer else answer  # without the line itself

    def wait(self):
        while self.read(20):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def tokens(server, messages):
    return server.json("POST", "/api/chat", {"model": "tiny", "messages": messages, "stream": False, "options": {"num_predict": 1}})["prompt_eval_count"]


def known(answer):
    """(prompt tokens, of them known, answer tokens) of what is shown with --verbose."""
    found = re.search(r"prompt (\d+) tokens \((\d+) known\), .*; answer (\d+) tokens", answer)
    check(found, f"no line about speed: {answer!r}")
    return tuple(map(int, found.groups()))


def conversation(program, server):
    fact = "the number of this is " + "then " * 30 + "seven"
    terminal = Terminal(program, "run", program.tiny_model(), "--temperature", 0, "--max-tokens", 12, "--verbose", "--system", "be brief")
    terminal.until(PROMPT)
    first = terminal.say(fact)
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": fact}]
    said = server.json("POST", "/api/chat", {"model": "tiny", "messages": messages, "stream": False, "options": {"num_predict": 12, "temperature": 0, "repeat_penalty": 1}})["message"]["content"]
    check(not re.search(r"[\x01-\x08\x0b-\x1f\x7f]", first), f"control characters do not reach the terminal: {first!r}")
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", said)
    check(first.split("\n\nprompt ")[0].strip() == shown.strip(), f"the server answers alike: {first!r} {said!r}")
    check(known(first)[0] == tokens(server, messages), f"the first turn: {first!r}")
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "which number?"}]
    second = known(terminal.say("which number?"))
    check(second[0] == tokens(server, messages), f"the second turn holds the first: {second}, expected {tokens(server, messages)}")
    check(second[1] > 64, f"what is known is not computed again: {second}")
    check("Cleared" in terminal.say("/clear"), "/clear")
    check(known(terminal.say("which number?"))[0] == tokens(server, [messages[0], messages[-1]]), "a conversation that begins anew")
    saved = terminal.say("/save talk")
    check("Created new model 'talk" in saved, f"/save: {saved!r}")
    terminal.send("/bye\r")
    check(terminal.wait() == 0, "/bye ends with 0")
    kept = json.loads(program.run("show", "talk", "--json"))
    check([m["content"] for m in kept["messages"]][0] == "which number?" and kept["system"] == "be brief" and kept["parameters"]["num_predict"] == 12, f"{kept}")


def lines_and_settings(program, server):
    terminal = Terminal(program, "run", program.tiny_model(), "--temperature", 0)
    terminal.until(PROMPT)
    check("num_predict" in terminal.say("/set parameter num_predict 5"), "/set parameter")
    terminal.say("/set verbose")
    # Several lines between """, and as one paste.
    terminal.send('"""then\r')
    terminal.until(MORE)
    terminal.send('this\r')
    terminal.until(MORE)
    count = known(terminal.say('that"""'))
    check(count[0] == tokens(server, [{"role": "user", "content": "then\nthis\nthat"}]) and count[2] <= 5, f"three lines are one text: {count}")
    terminal.say("/clear")
    check(known(terminal.say("\x1b[200~then\rthis\rthat\x1b[201~"))[0] == count[0], "pasted lines are one text")
    terminal.say("/clear")
    check(known(terminal.say("thex\x7fn 数字"))[0] == tokens(server, [{"role": "user", "content": "then 数字"}]), "a line is edited, in any script")
    terminal.say("/clear")
    check(known(terminal.say("\x1b[A\x1b[A"))[0] == tokens(server, [{"role": "user", "content": "then 数字"}]), "the arrow brings earlier lines back")
    terminal.say("/clear")
    terminal.send('/set system """be\r')
    terminal.until(MORE)
    check("Set system" in terminal.say('brief"""'), "a system message of two lines")
    check("be\nbrief" in terminal.say("/show system"), "/show system")
    check(known(terminal.say("then"))[0] == tokens(server, [{"role": "system", "content": "be\nbrief"}, {"role": "user", "content": "then"}]), "is sent")
    shown = terminal.say("/show info")
    check("llama" in shown and "512" in shown and "completion" in shown, shown)
    shown = terminal.say("/show parameters")
    check(re.search(r"num_predict +5 +\(set here\)", shown) and re.search(r"temperature +0\.0", shown), shown)
    check("FROM " in terminal.say("/show modelfile") and "im_start" in terminal.say("/show template") and "/show info" in terminal.say("/show nonsense"), "/show")
    check("/set" in terminal.say("/?") and "/set parameter" in terminal.say("/? set") and "no such command" in terminal.say("/nonsense"), "help")
    for bad in ("/set parameter temperature -1", "/set parameter warmth 1", "/set parameter top_k", "/set format yaml", "/load nonsense", "/save ../x"):
        answer = terminal.say(bad)
        check(answer.strip() and "Set parameter" not in answer and "Created" not in answer and "Loaded" not in answer, f"{bad}: {answer!r}")
    terminal.say("/set format json")
    terminal.say("/set parameter num_predict 60")
    check(terminal.say("then").lstrip().startswith("{"), "an answer in JSON")
    terminal.say("/set noformat")
    check("does not reason" in terminal.say("/set think") and "nothink" in terminal.say("/set nothink"), "/set think")
    check(known(terminal.say("/usr/bin is a folder"))[0] > 0, "a path is no command")
    check("Loaded 'talk" in terminal.say("/load talk"), "/load")
    check("be brief" in terminal.say("/show system") and "num_predict" in terminal.say("/show parameters"), "what the other model says")
    terminal.say("too " * 600)
    check(known(terminal.say("then"))[0] > 0, "a text that does not fit is refused, and the conversation goes on")
    terminal.send("\x04")
    check(terminal.wait() == 0, "Ctrl-D ends with 0")
    history = (program.folder / "home" / "chat_history")
    check("usr" in history.read_text() and history.stat().st_mode & 0o077 == 0, "lines are kept, for this user alone")


def interrupts(program):
    """Ctrl-C ends an answer, and the line that is typed, but not the program."""
    wide = program.folder / "wide.gguf"
    subprocess.run([program.build / "tests" / "hone_tiny_model", wide, "f32", "llama", "8"], check=True)
    terminal = Terminal(program, "run", wide, "--temperature", 1.5, "--max-tokens", 480, "--verbose", HONE_FORCE_ISA="scalar")
    terminal.until(PROMPT)
    terminal.send("then\r")
    terminal.until("then\n")
    while not terminal.text().strip():
        terminal.read(60)
    terminal.send("\x03")
    answered = terminal.until(PROMPT)
    check(known(answered)[2] < 479, f"the answer was stopped: {answered[-200:]!r}")
    terminal.send("half a line\x03")
    check("Ctrl-D" in terminal.until(PROMPT), "at the prompt it says how to leave")
    terminal.say("/clear")
    terminal.say("/set parameter num_predict 3")
    check(known(terminal.say("this"))[2] <= 3, "the conversation goes on")
    os.kill(terminal.pid, 15)
    check(terminal.wait() == 130, "SIGTERM ends it")


def pipes(program):
    words = ["run", program.tiny_model(), "--temperature", "0", "--max-tokens", "6"]
    expected = program.run(*words, "then")
    for extra, data in ([], "then\n"), (["-"], "then"):
        result = subprocess.run([program.hone, *map(str, words), *extra], input=data, env=program.environment, capture_output=True, text=True, timeout=60)
        check(result.returncode == 0 and result.stdout == expected, f"a prompt from a pipe: {result}")
    empty = subprocess.run([program.hone, *map(str, words)], stdin=subprocess.DEVNULL, env=program.environment, capture_output=True, text=True, timeout=60)
    check(empty.returncode == 2 and "no prompt" in empty.stderr, f"an empty pipe: {empty}")
    main_end, other_end = pty.openpty()
    result = subprocess.run([program.hone, *map(str, words)], stdin=other_end, env=program.environment, capture_output=True, text=True, timeout=60)
    check(result.returncode == 2 and "terminal" in result.stderr, f"a conversation needs a terminal for its answers too: {result}")
    os.close(main_end), os.close(other_end)


def run(program):
    with Server(program, f"tiny={program.tiny_model()}") as server:
        conversation(program, server)
        print("conversation", flush=True)
        lines_and_settings(program, server)
        server.stop()
    for part in (interrupts, pipes):
        print(part.__name__, flush=True)
        part(program)


main(run)
