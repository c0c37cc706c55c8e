"""One run of a guest: qemu with its channels, bounded in time, its console kept."""

import fcntl
import os
import selectors
import signal
import subprocess
import tempfile
import time

import image

# linux/kvm.h
KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01

# How much longer than on a machine of its own everything may take in a guest without KVM; the cases multiply every wait and every bound by it
# (e2e::patience). Guests have one processor each, and share the machine's with whatever else runs.
SLOWNESS = 4

APPEND = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr cgroup_no_v1=all psi=1 apparmor=1 security=apparmor"


# How long a kernel may take under KVM from its start to the panic that ends it, in seconds; it takes one.
KVM_PATIENCE = 8


# The processor that is interpreted where there is no KVM: x86-64-v2, which newer distributions' programs ask for. One that can do all that qemu
# knows takes a sixth more time, for page tables of five levels and wide registers that every string function then uses.
INTERPRETED = "Nehalem"


def has_kvm():
    """Whether a guest runs under KVM here. The device file alone says little, and some machines make a virtual machine that then stands still: so
    the kernel is started once without an initramfs, which it ends with a panic. The answer is kept until the next boot."""
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    kept = os.path.join(image.CACHE, "kvm")
    if os.path.exists(kept):
        with open(kept) as f:
            words = f.read().split()
        if words[:1] == [boot]:
            return words[1:] == ["yes"]
    works = makes_machines() and runs_kernel()
    os.makedirs(image.CACHE, exist_ok=True)
    with open(kept, "w") as f:
        f.write(f"{boot} {'yes' if works else 'no'}\n")
    return works


def environment():
    """Shell lines that begin the job of every case."""
    return f"export PODWRIGHT_DIST=/dist RUST_BACKTRACE=0 PODWRIGHT_PATIENCE={1 if has_kvm() else SLOWNESS}\n"


class Bound:
    """The end of the time that a whole run of many guests may take."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self):
        return max(self.end - time.monotonic(), 0)

    def over(self):
        return self.left() == 0

    def words(self):
        return f"the whole run's {self.seconds / 60:.0f} min were over"

    def why(self):
        """Why what runs now must end, if it must."""
        return f"it was running when {self.words()}" if self.over() else ""


def makes_machines():
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl.ioctl(device, KVM_GET_API_VERSION, 0) != 12:
            return False
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
        return True
    except OSError:
        return False
    finally:
        os.close(device)


def runs_kernel():
    line = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", "pc", "-accel", "kvm", "-cpu", "host", "-smp", "2", "-m", "256", "-display", "none", "-no-reboot"]
    line += ["-kernel", image.vmlinuz(image.kernel()), "-append", "panic=-1"]
    try:
        return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=KVM_PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def command(initramfs, cpus, memory, disk):
    accelerator = ["-accel", "kvm", "-cpu", "host"] if has_kvm() else ["-accel", "tcg,thread=multi", "-cpu", INTERPRETED]
    out = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-M", "pc", *accelerator, "-smp", str(cpus), "-m", str(memory)]
    out += ["-display", "none", "-no-reboot", "-kernel", image.vmlinuz(image.kernel()), "-initrd", initramfs, "-append", APPEND]
    out += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"]
    if disk:
        # What the guest has flushed is in the file, what it has not is lost with it: as when the power goes.
        out += ["-drive", f"file={disk},if=none,id=disk,format=raw,cache=writeback", "-device", "virtio-blk-pci,drive=disk"]
    return out


def make_disk(path, megabytes=512):
    """A file with an empty ext4."""
    with open(path, "wb") as f:
        f.truncate(megabytes << 20)
    image.run("mke2fs", "-q", "-F", "-t", "ext4", path)


class Result:
    """How a run ended."""

    def __init__(self, status, why, console):
        self.status = status
        self.why = why
        self.console = console


class Guest:
    """A guest that runs one job. `out` and `err` are called with each piece of what the job prints."""

    def __init__(self, job, out, err, dist, cpus=2, memory=1024, disk=None, cases=None, programs=(), files=(), log=None):
        self.out, self.err = out, err
        self.files = tempfile.TemporaryDirectory(prefix="podwright-vm-")
        self.log = log or os.path.join(self.files.name, "console.log")
        archive = os.path.join(self.files.name, "initramfs")
        image.initramfs(archive, dist, job, cases, programs, files)
        line = command(archive, cpus, memory, disk)
        line += ["-chardev", f"file,id=console,path={self.log}", "-serial", "chardev:console", "-device", "virtio-serial-pci"]
        self.selector = selectors.DefaultSelector()
        self.said = b""
        given = []
        for number, (name, take) in enumerate([("out", self.out), ("err", self.err), ("status", self._status)], 1):
            ours, theirs = os.pipe()
            self.selector.register(ours, selectors.EVENT_READ, take)
            given.append(theirs)
            line += ["-add-fd", f"fd={theirs},set={number}", "-chardev", f"file,id={name},path=/dev/fdset/{number},append=on"]
            line += ["-device", f"virtserialport,chardev={name},name={name}"]
        # Whatever ends this program ends the guest.
        line = ["setpriv", "--pdeathsig", "KILL", *line]
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=given, start_new_session=True)
        for fd in given:
            os.close(fd)
        self.begun = time.monotonic()

    def _status(self, data):
        self.said += data

    def wait(self, patience, until=None):
        """Waits for the job's end, at most `patience` seconds, or for `until()`; the guest is gone afterwards."""
        end = self.begun + patience
        why = None
        try:
            while self.selector.get_map():
                left = end - time.monotonic()
                if left <= 0:
                    why = f"the guest did not end within {patience:.0f} s"
                    break
                if until and until():
                    why = "reset"
                    break
                for key, _ in self.selector.select(min(left, 0.05 if until else left)):
                    data = os.read(key.fd, 65536)
                    if data:
                        key.data(data)
                    else:
                        self.selector.unregister(key.fd)
                        os.close(key.fd)
        finally:
            self.end()
        text = self.said.decode(errors="replace").strip()
        if text.isdigit():
            return Result(int(text), None, self.log)
        if why is None:
            told = self.process.stdout.read().decode(errors="replace").strip()
            why = "the guest ended without a word" + (f"; qemu says: {told}" if told else "")
        return Result(None, why, self.log)

    def end(self):
        """Cuts the power."""
        if self.process.poll() is None and not self.said.strip():
            self.process.send_signal(signal.SIGKILL)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for key in list(self.selector.get_map().values()):
            # What the guest wrote before its end.
            while True:
                data = os.read(key.fd, 65536)
                if not data:
                    break
                key.data(data)
            self.selector.unregister(key.fd)
            os.close(key.fd)

    def tail(self, lines=40):
        """The end of the console."""
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])


def shell(dist, cpus, memory, disk, programs, files):
    """A prompt on the guest's serial console; gives qemu's exit status."""
    with tempfile.TemporaryDirectory(prefix="podwright-vm-") as folder:
        archive = os.path.join(folder, "initramfs")
        image.initramfs(archive, dist, None, None, programs, files)
        line = command(archive, cpus, memory, disk) + ["-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console", "-mon", "chardev=console"]
        # Whatever ends this program ends the guest.
        return subprocess.run(["setpriv", "--pdeathsig", "KILL", *line]).returncode
