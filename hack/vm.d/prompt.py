"""The prompt of a guest (`hack/vm shell`), on a terminal as a person has it: it comes, answers, ends a command at ctrl-c, and `exit` ends the guest."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import image

CASE = "shell::a_prompt_comes_and_answers_and_exit_ends_the_guest"
# From the start to the prompt: a boot beside other guests. Then for each command and for the end.
BOOT_PATIENCE, PATIENCE = 120, 60
PROMPT = "guest:~# "


class Silent(Exception):
    """What was waited for did not come; the text says what came instead."""


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, line, bound):
        self.bound, self.text, self.at = bound, "", 0
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)

    def _more(self, end):
        """Reads what comes next. False: nothing does any more, or not before `end`."""
        ready = select.select([self.ours], [], [], max(end - time.monotonic(), 0))[0]
        try:
            data = os.read(self.ours, 65536) if ready else b""
        except OSError:
            # EIO: nobody has its other side open.
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, patience=PATIENCE):
        """Waits for what comes after all that was waited for before."""
        end = time.monotonic() + min(patience, self.bound.left())
        while not (found := re.compile(pattern).search(self.text, self.at)):
            if not self._more(end):
                raise Silent(f"no {pattern!r} came in:\n{self.text[self.at:]}")
        self.at = found.end()

    def type(self, text):
        os.write(self.ours, text.encode())

    def finish(self):
        """Waits for the end; gives the exit status."""
        end = time.monotonic() + min(PATIENCE, self.bound.left())
        while self._more(end):
            pass
        try:
            return self.process.wait(max(end - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            raise Silent(f"it did not end:\n{self.text[self.at:]}") from None

    def close(self):
        if self.process.poll() is None:
            # As ctrl-c would: it takes its folder away.
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        os.close(self.ours)


def check(dist, options, bound):
    """Talks to a guest as a person does.

    Raises:
        Silent: something did not come.
    """
    line = [sys.executable, os.path.join(image.TOP, "hack/vm"), "shell", "--dist", dist]
    line += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    terminal = Terminal(line, bound)
    try:
        terminal.expect(PROMPT, BOOT_PATIENCE)
        # What is typed comes back as an echo: an answer is something else.
        terminal.type("tty >/dev/null && echo terminal-$((40 + 2))\r")
        terminal.expect("terminal-42\r+\n")
        terminal.expect(PROMPT)
        terminal.type("podwright version --client >/dev/null; echo status-$?-\r")
        terminal.expect("status-0-\r+\n")
        terminal.expect(PROMPT)
        terminal.type("echo waits-$((1 + 1)); sleep 1000\r")
        terminal.expect("waits-2\r+\n")
        terminal.type("\x03")
        terminal.expect(PROMPT)
        terminal.type("echo after-$?-\r")
        terminal.expect("after-130-\r+\n")
        terminal.expect(PROMPT)
        terminal.type("exit\r")
        status = terminal.finish()
        if status != 0:
            raise Silent(f"it ended with {status}:\n{terminal.text}")
    finally:
        terminal.close()


def run(dist, options, report, problem, bound):
    """The check as a case of `hack/vm test`."""
    begun = time.monotonic()
    try:
        check(dist, options, bound)
    except Silent as error:
        report(CASE, "FAILED", time.monotonic() - begun, bound.why())
        problem(f"{CASE}: {error}")
        return
    report(CASE, "ok", time.monotonic() - begun)
