"""The end-to-end cases in guests: which, how many guests, and what is said about each."""

import os
import random
import re
import resource
import subprocess
import sys
import threading
import time

import boots
import guest
import image
import prompt

LABELS = os.path.join(image.TOP, "tests/labels")

# No single case takes that long, in seconds, nor does a boot.
CASE_PATIENCE = 240
# The whole run with all its guests takes no longer, in seconds; a case that runs then has failed, and is named.
RUN_PATIENCE = 15 * 60
# Building the cases takes no longer, in seconds.
BUILD_PATIENCE = 30 * 60
# How often a guest is begun anew for what is left, where one dies or stands still.
NEW_GUESTS = 3
# So many cases that failed are run once more in a guest of their own, when all others are done; more are no accident of the moment.
SECOND_CHANCES = 5

ITSELF = "hack/vm itself failed"
STARTED = re.compile(r"^test (\S+) \.\.\. ", re.M)
FAILURES = re.compile(r"^failures:\n(\n---- .*?)^failures:$", re.M | re.S)
ENDED = re.compile(r"^test (\S+) \.\.\. (ok|FAILED|ignored[^\n]*)$", re.M)


def labels():
    """Rows of the labels file: place, name, reason."""
    with open(LABELS) as f:
        rows = [line.split(None, 2) for line in f if line.strip() and not line.startswith("#")]
    return [(row[0], row[1], row[2].strip() if len(row) > 2 else "") for row in rows]


def label_of(rows, case):
    """The longest row that is about the case."""
    about = [row for row in rows if case == row[1] or case.startswith(row[1] + "::")]
    return max(about, key=lambda row: len(row[1]), default=None)


def program():
    """Builds the cases and gives the program's path."""
    if os.environ.get("PODWRIGHT_E2E"):
        return os.environ["PODWRIGHT_E2E"]
    line = ["cargo", "test", "--locked", "-p", "e2e", "--no-run"]
    try:
        done = subprocess.run(line, cwd=image.TOP, stderr=subprocess.PIPE, text=True, timeout=BUILD_PATIENCE)
    except subprocess.TimeoutExpired:
        raise image.Missing(f"{' '.join(line)} did not end within {BUILD_PATIENCE / 60:.0f} min") from None
    found = re.findall(r"Executable e2e/main\.rs \((.*)\)", done.stderr)
    if done.returncode != 0 or not found:
        raise image.Missing(f"{' '.join(line)} failed:\n{done.stderr}")
    return os.path.join(image.TOP, found[0])


def listed(binary):
    text = image.run(binary, "--list", "--format", "terse")
    return re.findall(r"^(\S+): test$", text, re.M)


def choose(cases, filters, places=("both", "v2", "guest")):
    """The cases that run in a guest, and the rows that leave some out, each with how many it leaves out."""
    rows = labels()
    chosen, left_out = [], {}
    for case in cases:
        row = label_of(rows, case)
        if row is None:
            raise image.Missing(f"the case {case} has no row in tests/labels: add one for its topic")
        if filters and not any(f in case for f in filters):
            continue
        if row[0] in places:
            chosen.append(case)
        elif row[0] == "host":
            left_out[row] = left_out.get(row, 0) + 1
    return chosen, left_out


class Report:
    """Says how each case ended, as soon as it has, and knows all ends at the last."""

    def __init__(self, names):
        self.width = max([len(name) for name in names] + [40])
        self.lock = threading.Lock()
        self.ends = {}
        self.flaky = []
        self.problems = []
        self.ups = []

    def case(self, name, end, took, why=""):
        with self.lock:
            if end == "ok" and self.ends.get(name, ("",))[0] == "FAILED":
                self.flaky.append(name)
            self.ends[name] = (end, took)
            print(f"  {name:{self.width}}  {end:6} {took:6.1f} s{'  ' + why if why else ''}")
            sys.stdout.flush()

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def slowest(self, count):
        """The cases that took longest, with their seconds."""
        order = sorted(self.ends.items(), key=lambda row: -row[1][1])
        return [(name, took) for name, (_, took) in order[:count]]


class Runner:
    """Runs cases in one guest after the other until each has had its turn, or the whole run's time is over."""

    def __init__(self, name, cases, dist, binary, options, report, bound):
        self.name, self.left, self.dist, self.binary, self.options, self.report, self.bound = name, list(cases), dist, binary, options, report, bound

    def run(self):
        for attempt in range(1 + NEW_GUESTS):
            if not self.left or self.bound.over():
                break
            self._guest(attempt)
        for case in self.left:
            self.report.case(case, "FAILED", 0, "not begun when " + self.bound.words() if self.bound.over() else "no guest lived long enough for it")

    def _guest(self, attempt):
        log = os.path.join(image.CACHE, f"console-{self.name}-{attempt}.log")
        text, errors = [], []
        done = set()
        # The case that runs and when it began; before the first one, the guest boots.
        state = {"since": time.monotonic(), "running": None}
        # Each in a process of its own: what a failed one says comes at once, not after the last, which the guest may not live to see.
        job = guest.environment() + "cut -d' ' -f1 /proc/uptime\n" + "".join(f"e2e --test-threads=1 --exact {case}\n" for case in self.left)

        def out(data):
            text.append(data.decode(errors="replace"))
            now = time.monotonic()
            whole = "".join(text)
            for case, end in ENDED.findall(whole):
                if case not in done:
                    done.add(case)
                    self.report.case(case, end, now - state["since"])
                    state["since"] = now
            begun = [case for case in STARTED.findall(whole) if case not in done]
            if begun and state["running"] != begun[-1]:
                state["running"], state["since"] = begun[-1], now

        machine = guest.Guest(job, out, lambda data: errors.append(data.decode(errors="replace")), self.dist, cases=self.binary, log=log, **self.options)
        stuck = lambda: self.bound.over() or time.monotonic() - state["since"] > CASE_PATIENCE
        result = machine.wait(self.bound.left() + 1, stuck)
        whole = "".join(text)
        first = whole.split("\n", 1)[0]
        if re.fullmatch(r"[\d.]+", first):
            self.report.ups.append(first)
        self.left = [case for case in self.left if case not in done]
        for said in FAILURES.findall(whole):
            self.report.problem(said)
        if not self.left:
            return
        case = state["running"] if state["running"] in self.left else self.left[0]
        took = time.monotonic() - state["since"]
        if self.bound.over():
            why = self.bound.why()
        elif result.why == "reset":
            why = f"it took more than {CASE_PATIENCE} s"
        else:
            why = result.why or f"the cases ended with {result.status} before their time"
        # What a case has printed by then is not shown by the program of the cases: only the console is left to look at.
        self.report.problem(f"guest {self.name}, {case}: {why}\n{''.join(errors)}\nThe end of its console ({log}):\n{machine.tail()}")
        self.report.case(case, "FAILED", took, why)
        self.left.remove(case)


def boots_of(filters, dist, binary, options, resets, report, bound):
    """The cases of several boots, one after the other."""
    def wanted(name):
        return not filters or any(f in name for f in filters)

    if wanted("boots::reboot"):
        boots.reboot(dist, binary, options, report.case, bound)
    if wanted("boots::reset") and resets:
        seed = random.SystemRandom().randrange(1 << 32)
        boots.resets(resets, dist, binary, options, seed, lambda name, end, took, why="": report.case(f"boots::reset::{name}", end, took, why), bound)


def test(filters, dist, guests, options, resets, patience):
    """Runs all cases that belong into a guest; prints each, what is left out and why, and the counts. Whether all passed."""
    os.makedirs(image.CACHE, exist_ok=True)
    image.kernel()
    image.apparmor_parser()
    guest.has_kvm()
    binary = program()
    chosen, left_out = choose(listed(binary), filters)
    has_boots = not filters or any("boots" in f for f in filters)
    shell = not filters or any(f in prompt.CASE for f in filters)
    if not chosen and not has_boots and not shell:
        raise image.Missing(f"no case that runs in a guest has {' or '.join(filters)} in its name")
    begun, bound = time.monotonic(), guest.Bound(patience)
    report = Report(chosen)
    # Neighbours are alike in cost: dealt out in turn, the guests end at about the same time. The boots have a turn of their own, first: they
    # are the longest that cannot be split.
    jobs = [lambda: boots_of(filters, dist, binary, options, resets, report, bound)] if has_boots else []
    share = min(guests + 1, len(chosen))
    runners = [Runner(str(n + 1), chosen[n::share], dist, binary, options, report, bound) for n in range(share)]
    jobs += [runner.run for runner in runners]
    if shell:
        jobs.append(lambda: prompt.run(dist, options, report.case, report.problem, bound))

    def work():
        while True:
            with report.lock:
                if not jobs:
                    return
                job = jobs.pop(0)
            try:
                job()
            except Exception as error:
                report.problem(f"{ITSELF}: {error!r}")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(guests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for problem in report.problems:
        print(problem)
    again = [case for case in chosen if report.ends.get(case, ("FAILED",))[0] == "FAILED"]
    own_failure = any(problem.startswith(ITSELF) for problem in report.problems)
    if 0 < len(again) <= SECOND_CHANCES and not own_failure:
        print("once more, in a guest of their own:")
        first, report.problems = report.problems, []
        Runner("again", again, dist, binary, options, report, bound).run()
        for problem in report.problems:
            print(problem)
        if any(report.ends[case][0] != "ok" for case in again):
            report.problems += first
        if report.flaky:
            print(f"flaky (failed once, see above): {', '.join(report.flaky)}")
    print("only on the host:")
    for (_, name, why), count in left_out.items():
        print(f"  {name} ({count} case{'s' if count > 1 else ''}): {why}")
    print("the slowest:")
    for name, took in report.slowest(10):
        print(f"  {took:6.1f} s  {name}")
    for case in chosen:
        report.ends.setdefault(case, ("FAILED", 0))
    ends = [end for end, _ in report.ends.values()]
    passed = ends.count("ok")
    failed = max(len(ends) - passed, 1 if report.problems else 0)
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = own.ru_utime + own.ru_stime
    took = time.monotonic() - begun
    print(f"{len(report.ups)} guests of cases, up after {' and '.join(report.ups)} s; {processors:.0f} s of processor time; {took:.0f} s in all")
    print(f"{passed} passed, {failed} failed")
    return failed == 0
