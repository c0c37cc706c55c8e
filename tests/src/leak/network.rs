//! What belongs to this network namespace: links, addresses, routes, firewall rules, sockets.

use super::Snapshot;
use super::owner::Owners;
use std::fs;
use std::process::Command;

/// Notes all of it.
pub(super) fn look(owners: &Owners, all: &mut Snapshot) {
    for line in read("/proc/self/net/dev").lines() {
        if let Some((name, _)) = line.split_once(':') {
            all.note(owners, "link", name.trim());
        }
    }
    for line in read("/proc/self/net/if_inet6").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let (Some(address), Some(link)) = (fields.first(), fields.last()) {
            all.note(owners, "address", format!("{address} {link}"));
        }
    }
    // The local table has an entry for every IPv4 address of every link.
    let mut address = "";
    let trie = read("/proc/self/net/fib_trie");
    for line in trie.lines() {
        if let Some((_, found)) = line.split_once("|-- ") {
            address = found;
        } else if line.contains("/32 host LOCAL") {
            all.note(owners, "address", address);
        }
    }
    for line in read("/proc/self/net/route").lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [link, destination, gateway, _, _, _, _, mask, ..] = fields[..] {
            all.note(
                owners,
                "route",
                format!("{destination}/{mask} by {gateway} {link}"),
            );
        }
    }
    // Without counters, which every packet changes. No program, no rules that it could have made: podwright makes them through it.
    let rules = Command::new("nft").args(["-s", "list", "ruleset"]).output();
    let rules = rules.map(|o| o.stdout).unwrap_or_default();
    let mut table = String::new();
    for line in String::from_utf8_lossy(&rules).lines() {
        if line.starts_with("table ") {
            table = line.trim_end_matches(" {").to_owned();
        }
        if !line.trim().is_empty() && line.trim() != "}" {
            all.note(owners, "nft", format!("{table}: {}", line.trim()));
        }
    }
    for names in ["ip_tables_names", "ip6_tables_names"] {
        for table in read(&format!("/proc/self/net/{names}")).lines() {
            all.note(owners, "iptables", format!("{names} {table}"));
        }
    }
    for line in read("/proc/self/net/unix").lines() {
        // Only what names the node: others come and go with every program.
        if let Some(name) = line.split_whitespace().nth(7)
            && owners.ours(name)
        {
            all.ours("socket", name);
        }
    }
    for table in ["tcp", "tcp6"] {
        for line in read(&format!("/proc/self/net/{table}")).lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [_, local, _, "0A", ..] = fields[..] {
                all.note(owners, "socket", format!("{table} listens on {local}"));
            }
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
