"""The end-to-end cases in guests: which, how many guests, and what is said about each."""

import os
import random
import re
import subprocess
import sys
import threading
import time

import guest
import image

LABELS = os.path.join(image.TOP, "tests/labels")

# No single case takes that long, in seconds; Node::run of the cases gives up after 120.
CASE_PATIENCE = 180
# How often a guest is begun anew for what is left, where one dies or stands still.
NEW_GUESTS = 3

STARTED = re.compile(r"^test (\S+) \.\.\. ", re.M)
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
    done = subprocess.run(line, cwd=image.TOP, stderr=subprocess.PIPE, text=True)
    found = re.findall(r"Executable e2e/main\.rs \((.*)\)", done.stderr)
    if done.returncode != 0 or not found:
        raise image.Missing(f"{' '.join(line)} failed:\n{done.stderr}")
    return os.path.join(image.TOP, found[0])


def listed(binary):
    text = image.run(binary, "--list", "--format", "terse")
    return re.findall(r"^(\S+): test$", text, re.M)


def choose(cases, filters, places=("both", "v2")):
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


class Runner:
    """Runs cases in one guest after the other until each has had its turn."""

    def __init__(self, name, cases, dist, binary, options, report):
        self.name, self.left, self.dist, self.binary, self.options, self.report = name, list(cases), dist, binary, options, report
        self.results = {}
        self.problems = []
        self.boots = []

    def run(self):
        for attempt in range(1 + NEW_GUESTS):
            if not self.left:
                return
            self._guest(attempt)
        for case in self.left:
            self.results[case] = ("FAILED", 0)
            self.report(self.name, case, "FAILED", 0, "no guest lived long enough for it")

    def _guest(self, attempt):
        log = os.path.join(image.CACHE, f"console-{self.name}-{attempt}.log")
        text, errors = [], []
        state = {"done": set(), "since": None, "running": None}
        job = "export PODWRIGHT_DIST=/dist RUST_BACKTRACE=0\ncut -d' ' -f1 /proc/uptime\ne2e --test-threads=1 --exact " + " ".join(self.left) + "\n"

        def out(data):
            text.append(data.decode(errors="replace"))
            now = time.monotonic()
            whole = "".join(text)
            if state["since"] is None:
                state["since"] = now
            for case, end in ENDED.findall(whole):
                if case not in state["done"]:
                    state["done"].add(case)
                    took, state["since"] = now - state["since"], now
                    self.results[case] = (end, took)
                    self.report(self.name, case, end, took, "")
            begun = [case for case in STARTED.findall(whole) if case not in state["done"]]
            state["running"] = begun[-1] if begun else None

        machine = guest.Guest(job, out, lambda data: errors.append(data.decode(errors="replace")), self.dist, programs=[self.binary], log=log, **self.options)
        stuck = lambda: state["since"] is not None and time.monotonic() - state["since"] > CASE_PATIENCE
        result = machine.wait(CASE_PATIENCE * len(self.left) + 120, stuck)
        whole = "".join(text)
        first = whole.split("\n", 1)[0]
        if re.fullmatch(r"[\d.]+", first):
            self.boots.append(float(first))
        self.left = [case for case in self.left if case not in state["done"]]
        if "\nfailures:\n" in whole:
            self.problems.append(whole.split("\nfailures:\n", 1)[1].split("\nfailures:\n")[0] + "".join(errors))
        if not self.left:
            return
        case = state["running"] or self.left[0]
        why = f"{case} took more than {CASE_PATIENCE} s" if result.why == "reset" else result.why or f"the cases ended with {result.status} before their time"
        self.problems.append(f"guest {self.name}: {why}\n{''.join(errors)}\nThe end of its console ({log}):\n{machine.tail()}")
        self.results[case] = ("FAILED", time.monotonic() - (state["since"] or time.monotonic()))
        self.report(self.name, case, "FAILED", self.results[case][1], why)
        self.left.remove(case)


def boots_of(filters, dist, binary, options, resets, report, results):
    """The cases of several boots, one after the other."""
    import boots

    def wanted(name):
        return not filters or any(f in name for f in filters)

    def told(case, end, took, why=""):
        results[case] = (end, took)
        report("boots", case, end, took, why)

    if wanted("boots::reboot"):
        boots.reboot(dist, binary, options, told)
    if wanted("boots::reset") and resets:
        seed = random.SystemRandom().randrange(1 << 32)
        boots.resets(resets, dist, binary, options, seed, lambda name, end, took, why="": told(f"boots::reset::{name}", end, took, why))


def test(filters, dist, guests, options, resets):
    """Runs all cases that belong into a guest; prints each, what is left out and why, and the counts. Whether all passed."""
    begun = time.monotonic()
    os.makedirs(image.CACHE, exist_ok=True)
    image.kernel()
    guest.has_kvm()
    binary = program()
    chosen, left_out = choose(listed(binary), filters)
    if not chosen and not any("boots" in f for f in filters):
        raise image.Missing(f"no case that runs in a guest has {' or '.join(filters)} in its name")
    lock = threading.Lock()
    width = max([len(case) for case in chosen] + [40])

    def report(name, case, end, took, why):
        with lock:
            print(f"  {case:{width}}  {end:6} {took:6.1f} s{'  ' + why if why else ''}")
            sys.stdout.flush()

    # Neighbours are alike in cost: dealt out in turn, the guests end at about the same time.
    runners = [Runner(str(n + 1), chosen[n::guests], dist, binary, options, report) for n in range(min(guests, len(chosen)))]
    threads = [threading.Thread(target=runner.run, daemon=True) for runner in runners]
    boots = {}
    # The first guest that has nothing left to do gives way to those of the boots.
    for thread in threads:
        thread.start()
    for thread in threads[:1]:
        thread.join()
    boots_of(filters, dist, binary, options, resets, report, boots)
    for thread in threads[1:]:
        thread.join()
    for runner in runners:
        for problem in runner.problems:
            print(problem)
    print("only on the host:")
    for (_, name, why), count in left_out.items():
        print(f"  {name} ({count} case{'s' if count > 1 else ''}): {why}")
    results = {case: end for runner in runners for case, end in runner.results.items()}
    ends = [results.get(case, ("FAILED", 0))[0] for case in chosen] + [end for end, _ in boots.values()]
    passed = ends.count("ok")
    ups = [f"{seconds:.1f}" for runner in runners for seconds in runner.boots]
    print(f"{len(ups)} guests, up after {' and '.join(ups)} s; {time.monotonic() - begun:.0f} s in all")
    print(f"{passed} passed, {len(ends) - passed} failed")
    return passed == len(ends)
