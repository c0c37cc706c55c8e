#!/bin/bash
# Makes a Debian machine the guest that hack/vm boots: the same kernel, the same programs, and a check that it has what the cases need.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -qy --no-install-recommends linux-image-cloud-amd64 busybox util-linux iproute2 nftables procps strace kmod

# Loaded by hack/vm's guest at boot; the kernel asks for the others by itself.
echo overlay >/etc/modules-load.d/podwright.conf
modprobe overlay

[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || { echo "no cgroup v2 at /sys/fs/cgroup: remove systemd.unified_cgroup_hierarchy=0 from the kernel's command line" >&2; exit 1; }
for controller in cpu io memory pids cpuset; do
  grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || { echo "the cgroup controller $controller is missing" >&2; exit 1; }
done
[ -e /proc/pressure/memory ] || { echo "no pressure information: boot with psi=1" >&2; exit 1; }

case $(uname -r) in
  *-cloud-amd64) ;;
  *) echo "The cloud kernel is installed; \`vagrant reload\` boots it." ;;
esac
