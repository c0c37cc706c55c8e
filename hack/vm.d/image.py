"""What a guest boots: Debian's cloud kernel, taken out of its package, and an initramfs of the project's programs, busybox and modules."""

import glob
import os
import re
import shutil
import stat
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(TOP, "target")
CACHE = os.path.join(TARGET, "vm")

# Debian packages that the rig needs; no graphical interface comes with them.
PACKAGES = "qemu-system-x86 kmod busybox e2fsprogs util-linux bsdutils iproute2 nftables procps strace".split()

# The package whose dependency is the newest cloud kernel.
KERNEL = "linux-image-cloud-amd64"

# How long one download may take, in seconds.
DOWNLOAD_PATIENCE = 600

# Modules that are loaded at boot; what they need comes with them. Those of the network, too: one that came with a case would bring kernel
# parameters that were not there before, and the leak check counts them.
AT_BOOT = """virtio_pci virtio_console virtio_blk virtio_rng overlay loop veth bridge nf_conntrack nf_tables nft_chain_nat nft_masq nft_nat nft_redir
nft_ct nft_fib_inet nft_reject_inet nft_limit nft_hash nft_numgen""".split()
# Modules that the kernel may ask for by itself later.
ON_DEMAND = """veth bridge br_netfilter dummy tun macvlan ipvlan nf_tables nft_chain_nat nft_masq nft_nat nft_redir nft_ct nft_fib nft_fib_inet nft_fib_ipv4
nft_fib_ipv6 nft_reject nft_reject_inet nft_reject_ipv4 nft_reject_ipv6 nft_limit nft_log nft_hash nft_numgen nft_compat nf_conntrack nf_conntrack_netlink nf_nat
nfnetlink fuse loop squashfs dm_mod xt_MASQUERADE xt_conntrack xt_comment xt_mark""".split()

# Programs of the machine itself that tests and people want; busybox has a lesser one of some of them.
PROGRAMS = "mount umount unshare nsenter setpriv prlimit findmnt lsns losetup flock script ipcmk ipcrm cp tar grep sha256sum stat kill ps pgrep ip nft strace".split()


# Folders of images that hack/ makes beside the programs.
IMAGES = ("busybox-image", "walkthrough-images")


class Missing(Exception):
    """Something that a guest needs is not there; the text says what to do."""


def need_packages():
    """Installs what is missing, as the other scripts of hack/ do."""
    script = '. "$1/hack/lib.sh"; shift; need_packages "$@"'
    if subprocess.run(["bash", "-c", script, "hack/vm", TOP, *PACKAGES]).returncode != 0:
        raise SystemExit(1)


def run(*command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{' '.join(command)} did not end within {error.timeout:.0f} s") from None
    if done.returncode != 0:
        raise Missing(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def kernel(again=False):
    """The folder of the unpacked kernel package; downloaded once, and never installed."""
    folder = os.path.join(CACHE, "kernel")
    if not again and glob.glob(os.path.join(folder, "boot/vmlinuz-*")) and os.path.exists(os.path.join(folder, "complete")):
        return folder
    if os.uname().machine != "x86_64":
        raise Missing("the guest is an x86_64 machine, and this is none")
    for tool in ("apt-cache", "apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise Missing(f"{tool} is missing: the guest's kernel comes out of Debian's package {KERNEL}; vagrant/ has the same guest for other systems")

    def depends():
        found = re.findall(r"Depends: (linux-image-\S+)", subprocess.run(["apt-cache", "depends", KERNEL], capture_output=True, text=True).stdout)
        return found[0] if found else None

    if not depends() or again:
        run("apt-get", "update", "-q", timeout=DOWNLOAD_PATIENCE)
    if not depends():
        raise Missing(f"no package {KERNEL} in Debian's lists (`apt-cache depends {KERNEL}`)")
    draft = unpack(depends, folder)
    release = os.listdir(os.path.join(draft, "lib/modules"))[0]
    run("depmod", "-b", draft, release)
    return keep(draft, folder)


def unpack(named, folder):
    """Downloads the Debian package that `named()` names and unpacks it beside `folder`, without installing it."""
    os.makedirs(CACHE, exist_ok=True)
    draft = folder + ".new"
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(draft)
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download"]
    try:
        run(*download, named(), cwd=draft, timeout=DOWNLOAD_PATIENCE)
    except Missing:
        # The list may be older than the archive.
        run("apt-get", "update", "-q", timeout=DOWNLOAD_PATIENCE)
        run(*download, named(), cwd=draft, timeout=DOWNLOAD_PATIENCE)
    package = glob.glob(os.path.join(draft, "*.deb"))[0]
    run("dpkg-deb", "-x", package, draft)
    os.remove(package)
    return draft


def keep(draft, folder):
    """Puts what was unpacked, and is whole now, in its place."""
    open(os.path.join(draft, "complete"), "w").close()
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(draft, folder)
    return folder


def apparmor_parser():
    """The program that loads AppArmor profiles: this machine's, or out of Debian's package, unpacked once."""
    own = shutil.which("apparmor_parser", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if own:
        return own
    folder = os.path.join(CACHE, "apparmor")
    if not os.path.exists(os.path.join(folder, "complete")):
        keep(unpack(lambda: "apparmor", folder), folder)
    return glob.glob(os.path.join(folder, "**/sbin/apparmor_parser"), recursive=True)[0]


def vmlinuz(folder):
    return glob.glob(os.path.join(folder, "boot/vmlinuz-*"))[0]


class Archive:
    """An initramfs in the making: cpio, format newc (Documentation/driver-api/early-userspace/buffer-format.rst of Linux)."""

    def __init__(self, out):
        self.out = out
        self.known = set()
        self.number = 0

    def _entry(self, path, mode, data=b"", device=(0, 0)):
        self.number += 1
        name = path.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if not path or path in self.known:
            return
        self.folder(os.path.dirname(path))
        self.known.add(path)
        self._entry(path, stat.S_IFDIR | mode)

    def text(self, path, data, mode=0o644):
        path = path.strip("/")
        if path in self.known:
            return
        self.folder(os.path.dirname(path))
        self.known.add(path)
        self._entry(path, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def link(self, path, to):
        path = path.strip("/")
        if path in self.known:
            return
        self.folder(os.path.dirname(path))
        self.known.add(path)
        self._entry(path, stat.S_IFLNK | 0o777, to.encode())

    def device(self, path, major, minor):
        self.folder(os.path.dirname(path))
        self._entry(path.strip("/"), stat.S_IFCHR | 0o600, device=(major, minor))

    def file(self, path, source):
        with open(source, "rb") as f:
            self.text(path, f.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def tree(self, path, source):
        for base, folders, files in os.walk(source):
            folders.sort()
            at = os.path.join(path, os.path.relpath(base, source))
            self.folder(os.path.normpath(at))
            for name in sorted(files):
                self.file(os.path.normpath(os.path.join(at, name)), os.path.join(base, name))

    def end(self):
        self._entry("TRAILER!!!", 0)


def libraries(program):
    """What the dynamic linker would load for it; nothing for a static program."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/[^ :]+\.so[^ ]*)", text)))


def modules(folder):
    """Every module file that the guest may load, as paths below the folder, those it needs included."""
    release = os.listdir(os.path.join(folder, "lib/modules"))[0]
    wanted = {}
    for name in AT_BOOT + ON_DEMAND:
        text = subprocess.run(["modprobe", "-d", folder, "-S", release, "--show-depends", name], capture_output=True, text=True)
        if text.returncode != 0:
            if name in AT_BOOT:
                raise Missing(f"the kernel has no module {name}: {text.stderr.strip()}")
            continue
        for path in re.findall(r"^insmod (\S+)", text.stdout, re.M):
            wanted[os.path.relpath(path, folder)] = path
    return release, wanted


GROUP = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"


def initramfs(path, dist, job, cases=None, programs=(), files=()):
    """Writes an initramfs: the guest's root in /guest. `job` is text for /job/run, or None for a shell; `cases` is the program
    of the end-to-end cases; `programs` go to /usr/bin, `files` are pairs of source and place."""
    folder = kernel()
    missing = [p for p in ("podwright", "podwright-supervisor", "podwright-launch", "podwright-pause", "podwright-dns", *IMAGES) if not os.path.exists(os.path.join(dist, p))]
    if missing:
        raise Missing(f"{dist} lacks {', '.join(missing)}: run hack/build, hack/busybox-image {dist}/busybox-image, and hack/walkthrough-images {dist}/walkthrough-images")
    release, wanted = modules(folder)
    with open(path, "wb") as out:
        archive = Archive(out)
        for place in "dev proc sys bin sbin lib lib64 usr/bin usr/sbin usr/lib etc var/log var/lib run root mnt opt home srv job".split():
            archive.folder("guest/" + place)
        archive.folder("guest/tmp", 0o1777)
        archive.folder("dev")
        # The kernel opens the console for PID 1 before anything is mounted.
        archive.device("dev/console", 5, 1)
        with open(os.path.join(HERE, "init")) as init:
            text = init.read()
        needed = set()

        def program(place, source):
            source = os.path.realpath(source)
            archive.file("guest/" + place, source)
            needed.update(libraries(source))

        archive.text("init", text, 0o755)
        archive.text("guest/init", text, 0o755)
        busybox = shutil.which("busybox")
        archive.file("bin/busybox", os.path.realpath(busybox))
        for library in libraries(busybox):
            archive.file(library, library)
        program("bin/busybox", busybox)
        archive.link("guest/bin/sh", "busybox")
        archive.link("guest/sbin/modprobe", "../bin/busybox")
        for name in PROGRAMS:
            found = shutil.which(name)
            if found:
                program("usr/bin/" + name, found)
        # Where podwright looks for it, as container runtimes do.
        program("sbin/apparmor_parser", apparmor_parser())
        for name in sorted(os.listdir(dist)):
            path = os.path.join(dist, name)
            if name.startswith("podwright"):
                program("dist/" + name, path)
            elif name in IMAGES:
                archive.tree("guest/dist/" + name, path)
        if cases:
            program("usr/bin/e2e", cases)
        for source in programs:
            # Without what cargo adds to the names of test programs.
            program("usr/bin/" + re.sub(r"-[0-9a-f]{16}$", "", os.path.basename(source)), source)
        for source, place in files:
            archive.file("guest/" + place, source)
        for library in sorted(needed):
            archive.file("guest" + library, library)
        for place, source in sorted(wanted.items()):
            archive.file("guest/" + place, source)
        for name in ("modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.softdep"):
            archive.file(f"guest/lib/modules/{release}/{name}", os.path.join(folder, "lib/modules", release, name))
        archive.text("guest/etc/modules", "\n".join(AT_BOOT) + "\n")
        archive.text("guest/etc/passwd", PASSWD)
        archive.text("guest/etc/group", GROUP)
        archive.text("guest/etc/hosts", "127.0.0.1 localhost guest\n::1 localhost\n")
        archive.text("guest/etc/resolv.conf", "nameserver 127.0.0.1\n")
        archive.text("guest/etc/os-release", 'NAME="podwright test guest"\nID=podwright-guest\n')
        archive.text("guest/etc/profile", "PS1='guest:\\w# '\necho 'podwright and its helpers are in /dist; `exit` ends the guest.'\n")
        if job is None:
            archive.text("guest/job/shell", "")
        else:
            archive.text("guest/job/run", job, 0o755)
        archive.end()
