# Shared by the scripts of this folder: what must be installed, and where things are built. Sourced, not run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
arch=$(uname -m)
triple=$arch-unknown-linux-gnu
dist=$target/dist

say() { printf '\033[1m== %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

# need_packages NAME...: installs the Debian packages that are missing, by name.
need_packages() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "needs these Debian packages, and there is no apt-get to install them: ${missing[*]}"
  [ "$(id -u)" = 0 ] || die "needs root to install these Debian packages: ${missing[*]}"
  say "installing ${missing[*]}"
  local log; log=$(mktemp)
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 \
    || { tail -20 "$log" >&2; die "apt-get could not install ${missing[*]}"; }
  rm -f "$log"
}

# need_rust: a stable Rust toolchain of at least the version that Cargo.toml names.
need_rust() {
  local want have
  want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml")
  command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
  command -v cargo >/dev/null || die "needs Rust $want or later. Install it with rustup (https://rustup.rs): \`rustup toolchain install stable --profile default\`, then run this again"
  have=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$want" "${have%%-*}" | sort -V | head -1)" = "$want" ] || die "needs Rust $want or later, found $have: \`rustup update stable\`"
}

need_root() { [ "$(id -u)" = 0 ] || die "must run as root: it makes namespaces, mounts and cgroups"; }

# need_cargo_deny: cargo-deny, which reads deny.toml. Built without optimisation, because it runs for a second: 1 to 2 minutes on two cores.
need_cargo_deny() {
  local want=0.20.2 root=$target/tools
  PATH=$root/bin:$PATH
  cargo deny --version 2>/dev/null | grep -qx "cargo-deny $want" && return 0
  say "installing cargo-deny $want"
  local log; log=$(mktemp)
  CARGO_TARGET_DIR=$root/build cargo install --quiet --debug --locked --root "$root" "cargo-deny@$want" >"$log" 2>&1 \
    || { tail -20 "$log" >&2; die "could not install cargo-deny $want"; }
  rm -rf "$log" "$root/build"
}
