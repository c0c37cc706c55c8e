//! What the bridge network of pods needs: links, rules of nftables, a way out, addresses of its own.

use super::{Check, State, read};
use crate::cli::args::{NetworkArgs, NetworkChoice};
use ipnet::Ipv4Net;
use pod_network::{Bridge, NetworkError, Possible, Subnets, possible};
use std::error::Error;

/// Everything about the network. Where pods shall have the bridge it must be there; else it is a loss.
pub(super) fn checks(args: &NetworkArgs) -> Vec<Check> {
    if args.network == NetworkChoice::None {
        let found = "not asked for (--network none): pods have loopback only";
        return vec![Check::of("network", true, State::Warn, found, NEEDED, "")];
    }
    let otherwise = match args.network {
        NetworkChoice::Bridge => State::Missing,
        NetworkChoice::Auto | NetworkChoice::None => State::Warn,
    };
    let mut checks = tried(otherwise).to_vec();
    let name = args.bridge.as_deref().unwrap_or("podwright0");
    checks.push(addresses(args, Bridge::routed(name)));
    checks.push(way_out(&read("/proc/net/route"), |link| {
        read(&format!("/proc/sys/net/ipv4/conf/{link}/forwarding"))
    }));
    checks
}

const NEEDED: &str = "addresses of pods, and Services";

/// Makes a bridge and rules in namespaces of their own, which are gone afterwards.
fn tried(otherwise: State) -> [Check; 2] {
    let folder = std::env::temp_dir().join(format!("podwright-doctor-{}", std::process::id()));
    let tried = Subnets::choose(&[], None, None)
        .map_err(|e| e.to_string())
        .and_then(|subnets| possible(subnets, &folder).map_err(|e| whole(&e)));
    let (bridge, rules) = match tried {
        Ok(Possible { bridge, rules }) => {
            (bridge.map_err(|e| whole(&e)), rules.map_err(|e| whole(&e)))
        }
        Err(cause) => (Err(cause.clone()), Err(cause)),
    };
    let check = |name, result: Result<(), String>, good: &str, needed_for, advice| {
        let ok = result.is_ok();
        let found = result.err().unwrap_or_else(|| good.to_owned());
        Check::of(name, ok, otherwise, found, needed_for, advice)
    };
    [
        check(
            "network bridge",
            bridge,
            "bridge and veth can be made",
            NEEDED,
            "run as root with CAP_NET_ADMIN, CAP_SYS_ADMIN and a writable /proc/sys/net; modprobe bridge veth; or have none: --network none",
        ),
        check(
            "network rules",
            rules,
            "nf_tables translates addresses",
            "Services, host ports, and pods that reach the world",
            "modprobe nf_tables nft_chain_nat nft_numgen nft_hash nft_fib_ipv4 nft_reject_ipv4 nft_masq; or have no bridge: --network none",
        ),
    ]
}

/// Whether there is room for pods and Services beside what the node routes.
fn addresses(args: &NetworkArgs, routed: Result<Vec<Ipv4Net>, NetworkError>) -> Check {
    const NAME: &str = "network addresses";
    const ADVICE: &str = "give subnets that are free: --subnet CIDR --service-subnet CIDR";
    let check = |ok, found: String| Check::of(NAME, ok, State::Warn, found, NEEDED, ADVICE);
    let routed = match routed {
        Ok(routed) => routed,
        Err(error) => return check(false, whole(&error)),
    };
    let mut own = Vec::new();
    for text in [&args.subnet, &args.service_subnet] {
        match text.as_ref().map(|t| t.parse::<Ipv4Net>()).transpose() {
            Ok(net) => own.push(net),
            Err(error) => {
                let text = text.as_deref().unwrap_or_default();
                return check(false, format!("{text:?} is no subnet: {error}"));
            }
        }
    }
    let (pods, services) = (
        own.first().copied().flatten(),
        own.get(1).copied().flatten(),
    );
    for net in [pods, services].into_iter().flatten() {
        let meets = |other: &&Ipv4Net| other.contains(&net) || net.contains(*other);
        if let Some(other) = routed.iter().find(meets) {
            return check(
                false,
                format!("{net} is asked for, and the node routes {other} elsewhere"),
            );
        }
    }
    match Subnets::choose(&routed, pods, services) {
        Ok(subnets) => {
            let Subnets { pods, services } = subnets;
            check(
                true,
                format!("{pods} for pods and {services} for Services are free"),
            )
        }
        Err(error) => check(false, error.to_string()),
    }
}

/// Whether pods reach the world: by a default route, whose link podwright has forward what comes back.
fn way_out(routes: &str, forwarding: impl Fn(&str) -> String) -> Check {
    let fields = |line: &str| {
        let mut words = line.split_whitespace();
        let (link, to) = (words.next()?.to_owned(), words.next()?.to_owned());
        (to == "00000000").then_some(link)
    };
    let link = routes.lines().skip(1).find_map(fields);
    let found = match &link {
        None => "no default route: pods reach each other and this node only".to_owned(),
        Some(link) => match forwarding(link).as_str() {
            "1" => format!("by {link}, which forwards"),
            _ => format!("by {link}, which forwards once the first pod is there"),
        },
    };
    Check::of(
        "network way out",
        link.is_some(),
        State::Warn,
        found,
        "pods that reach the world, and are reached from it",
        "give the node a default route, where pods shall reach more than this node",
    )
}

/// The error with its causes.
fn whole(error: &NetworkError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway \tFlags\n";

    #[test]
    fn the_way_out_is_the_default_route() {
        for (routes, forwards, state, found) in [
            (
                "eth0\t00000000\t0100000A\t0003\n",
                "1",
                State::Ok,
                "by eth0, which forwards",
            ),
            (
                "lan\t0000000A\t00000000\t0001\neth0\t00000000\t0100000A\t0003\n",
                "0",
                State::Ok,
                "by eth0, which forwards once the first pod is there",
            ),
            (
                "lan\t0000000A\t00000000\t0001\n",
                "1",
                State::Warn,
                "no default route: pods reach each other and this node only",
            ),
        ] {
            let check = way_out(&format!("{HEAD}{routes}"), |_| forwards.to_owned());
            assert_eq!((check.state, check.found.as_str()), (state, found));
        }
    }

    #[test]
    fn addresses_that_the_node_routes_elsewhere_are_told() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        for (subnet, routed, state, found) in [
            (
                None,
                vec![],
                State::Ok,
                "10.88.0.0/24 for pods and 10.89.0.0/24 for Services are free",
            ),
            (
                None,
                vec![net("10.88.0.0/16")],
                State::Warn,
                "no free subnet for pods",
            ),
            (
                Some("192.168.1.0/24"),
                vec![net("192.168.0.0/16")],
                State::Warn,
                "192.168.1.0/24 is asked for, and the node routes 192.168.0.0/16 elsewhere",
            ),
            (Some("lan"), vec![], State::Warn, "\"lan\" is no subnet"),
        ] {
            let args = NetworkArgs {
                subnet: subnet.map(str::to_owned),
                ..NetworkArgs::default()
            };
            let check = addresses(&args, Ok(routed));
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.found.starts_with(found), "{check:?}");
        }
    }
}
