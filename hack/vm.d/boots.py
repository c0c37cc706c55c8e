"""One disk, several boots: a reboot in order, and the power cut in the middle of work (tests/e2e/boots)."""

import os
import random
import sys
import tempfile
import time

import guest
import image

# Between the first words of a round and the power cut, in seconds; a guest does one to three operations a second.
EARLIEST, LATEST = 0.1, 8.0
# A boot and what a round checks before it works, in seconds.
CHECK_PATIENCE = 400


def job(case):
    return f"{guest.environment()}exec e2e --exact --nocapture --test-threads=1 {case}\n"


class Disk:
    """A disk image that is gone at the end, unless something failed."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="podwright-vm-disk-")
        self.path = os.path.join(self.folder.name, "disk")
        guest.make_disk(self.path)
        return self.path

    def __exit__(self, *_):
        self.folder.cleanup()


def boot(name, case, dist, binary, disk, options, files=()):
    said = []
    take = lambda data: said.append(data.decode(errors="replace"))
    log = os.path.join(image.CACHE, f"console-{name}.log")
    return guest.Guest(job(case), take, take, dist, disk=disk, cases=binary, files=files, log=log, **options), said


def reboot(dist, binary, options, report, bound):
    """Whether both halves of the reboot passed; each is reported."""
    with Disk() as disk:
        for half in ("first", "second"):
            case = f"boots::reboot::{half}"
            begun = time.monotonic()
            machine, said = boot(f"reboot-{half}", case, dist, binary, disk, options)
            result = machine.wait(min(CHECK_PATIENCE, bound.left()))
            fine = result.status == 0 and f"test {case} ... ok" in "".join(said)
            report(case, "ok" if fine else "FAILED", time.monotonic() - begun, "" if fine else bound.why())
            if not fine:
                print(f"{''.join(said)}\n{result.why or ''}\nThe end of its console ({result.console}):\n{machine.tail()}")
                return False
    return True


def resets(count, dist, binary, options, seed, report, bound):
    """Cuts the power `count` times at random moments, and boots once more to look at what is left. Gives how many rounds failed."""
    chance = random.Random(seed)
    kept, failed, operations = [], 0, 0
    with Disk() as disk, tempfile.TemporaryDirectory(prefix="podwright-vm-") as folder:
        said_file = os.path.join(folder, "said")
        for number in range(count + 1):
            with open(said_file, "w") as f:
                f.write("".join(kept))
            begun = time.monotonic()
            machine, said = boot("reset", "boots::reset::round", dist, binary, disk, options, [(said_file, "job/said")])
            last = number == count
            after = 0.0 if last else chance.uniform(EARLIEST, LATEST)
            checked = []

            def cut():
                if not checked and "checked\n" in "".join(said):
                    checked.append(time.monotonic())
                return bool(checked) and time.monotonic() - checked[0] >= after

            result = machine.wait(min(CHECK_PATIENCE + after, bound.left()), cut)
            text = "".join(said)
            # A line is said when all of it has arrived.
            words = ("begin ", "done ", "sum ", "number ")
            lines = [line + "\n" for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith(words)]
            kept += lines
            done = sum(1 for line in lines if line.startswith("done "))
            operations += done
            if result.why == "reset":
                report(f"reset {number + 1}" if not last else "the last look", "ok", time.monotonic() - begun, f"{done} operations, power cut {after:.1f} s after the check" if not last else "")
                continue
            failed += 1
            report(f"reset {number + 1}", "FAILED", time.monotonic() - begun, f"seed {seed}{' ' + bound.why() if bound.over() else ''}")
            print(f"{text}\n{result.why or ''}\nThe end of its console ({result.console}):\n{machine.tail()}")
            break
    return failed, operations


def run(count, dist, binary, options, seed=None):
    """What `hack/vm resets` does. Whether nothing was lost."""
    os.makedirs(image.CACHE, exist_ok=True)
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)

    def report(name, end, took, why=""):
        print(f"  {name:16} {end:6} {took:6.1f} s  {why}")
        sys.stdout.flush()

    failed, operations = resets(count, dist, binary, options, seed, report, guest.Bound(CHECK_PATIENCE * (count + 1)))
    print(f"{count} resets: {operations} acknowledged operations, {failed} rounds failed (seed {seed})")
    return failed == 0
