"""A terminal as a person sees it: what a program wrote to it, in rows of a given width, which may change while it runs."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

from hone_program import check


def columns(character):
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Screen:
    """What was written, line by line; the last line is the one that is written. A line longer than the width takes several rows, other rows when the
    width changes, as on most terminals."""
    codes = re.compile(r"\x1b\[(\d*)([AJK])|\x1b\[\d*m|\r|\n|[^\x1b\r\n]+")

    def __init__(self, width):
        self.width, self.lines, self.at, self.rest = width, [""], 0, ""

    def rows(self, line):
        rows, used = [""], 0
        for c in line:
            if used + columns(c) > self.width:
                rows.append("")
                used = 0
            rows[-1] += c
            used += columns(c)
        return rows

    def feed(self, text):
        self.rest += text
        while self.rest:
            found = self.codes.match(self.rest)
            if not found:
                check(self.rest[0] == "\x1b" and len(self.rest) < 8, f"not understood: {self.rest[:20]!r}")
                return  # the end of a code is still to come
            self.rest = self.rest[found.end():]
            self.take(found.group(), int(found.group(1) or 1), found.group(2))

    def take(self, text, number, code):
        line = self.lines[-1]
        row = self.at - self.at % self.width if self.at < len(line) or self.at % self.width else max(0, self.at - self.width)
        if text == "\n":
            self.lines.append("")
            self.at = 0
        elif text == "\r":
            self.at = row
        elif code == "A":
            check(self.at >= number * self.width, f"up from the first row of {line!r}")
            self.at -= number * self.width
        elif code:
            check(self.at == row and line.isascii(), "only whole rows are cleared")
            self.lines[-1] = line[:row] if code == "J" else line[:row] + line[row + self.width:]
        elif text[0] != "\x1b":
            self.lines[-1] = line[:self.at] + text + line[self.at + len(text):]
            self.at += len(text)


class Terminal:
    """A program on a terminal of its own; `seen()` is what is there."""

    def __init__(self, program, *words, width=80):
        self.screen = Screen(width)
        self.master, slave = pty.openpty()
        self._size(width)
        environment = dict(program.environment, TERM="xterm")
        self.process = subprocess.Popen([program.hone, *map(str, words)], env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def _size(self, width):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))

    def resize(self, width):
        """Between two lines of the program, not within one."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        while select.select([self.master], [], [], 0.05)[0] and self.read(0):
            pass
        self.screen.width = width
        self._size(width)
        self.process.send_signal(signal.SIGCONT)

    def read(self, seconds):
        """False at the end."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:  # what a terminal answers when nobody has it any more
            return False
        self.screen.feed(data.decode(errors="replace").replace("\r\n", "\n"))
        return bool(data)

    def until(self, condition, what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            check(self.read(0.05) or condition(), f"the program ended: {what}\n" + "\n".join(self.screen.lines))
            check(time.monotonic() < end, f"did not happen: {what}\n" + "\n".join(self.screen.lines))

    def end(self, expect=0):
        while self.read(60):
            pass
        check(self.process.wait(timeout=60) == expect, f"exit {self.process.returncode}: " + "\n".join(self.screen.lines))
        os.close(self.master)
        return self.screen
