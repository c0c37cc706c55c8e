//! The bridge in a network namespace of the test's own: nothing of the machine's network is touched. Needs root, and a kernel with
//! bridge, veth and nf_tables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use nix::sched::{CloneFlags, setns, unshare};
use pod_model::service::Protocol;
use pod_network::{Bridge, Endpoint, HostPort, Rules, Subnets, VirtualPort};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether bridges ask the rules of the network layer too, as nodes have it that run other container engines.
const BRIDGE_FILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Runs a case as in a node of its own: a thread in a new network namespace; with and without `br_netfilter`, where the kernel has it.
fn in_node(case: impl Fn() + Send + Clone + 'static) {
    in_node_with("0", case.clone());
    in_node_with("1", case);
}

fn in_node_with(bridge_filter: &'static str, case: impl Fn() + Send + 'static) {
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("needs root to make a network namespace");
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        pod_network::bring_up_loopback(own.into()).unwrap();
        if Path::new(BRIDGE_FILTER).exists() {
            fs::write(BRIDGE_FILTER, bridge_filter).unwrap();
        }
        case();
    })
    .join()
    .unwrap();
}

/// A pod: a network namespace, and a server in it that answers with a word to whoever connects.
struct Pod(OwnedFd);

impl Pod {
    fn new() -> Self {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap().into()
        });
        Self(made.join().unwrap())
    }

    fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = self.0.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    }

    fn serve(&self, word: &'static str) {
        let listener = self.inside(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let from = client.peer_addr().unwrap().ip();
                let mut client = client;
                let _ = client.write_all(format!("{word} to {from}").as_bytes());
            }
        });
    }

    fn ask(&self, ip: Ipv4Addr, port: u16) -> Result<String, ErrorKind> {
        self.inside(move || ask(ip, port))
    }
}

fn ask(ip: Ipv4Addr, port: u16) -> Result<String, ErrorKind> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((ip, port)), PATIENCE)
        .map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|e| e.kind())?;
    Ok(text)
}

fn subnets() -> Subnets {
    let net = |text: &str| text.parse().unwrap();
    Subnets::new(net("10.88.7.0/24"), net("10.89.7.0/25")).unwrap()
}

fn bridge(folder: &Path) -> Bridge {
    Bridge::open("pwbr", subnets(), folder).unwrap()
}

fn links() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = text.lines().skip(2).filter_map(|l| l.split(':').next());
    names.map(|n| n.trim().to_owned()).collect()
}

fn service(endpoints: &[Ipv4Addr], sticky: bool) -> Rules {
    Rules {
        virtual_ports: vec![VirtualPort {
            ip: subnets().service(0).unwrap(),
            transport: Protocol::Tcp,
            port: 80,
            node_port: Some(30_080),
            endpoints: endpoints
                .iter()
                .map(|ip| Endpoint {
                    ip: *ip,
                    port: PORT,
                })
                .collect(),
            sticky,
        }],
        host_ports: Vec::new(),
        pods: endpoints.iter().copied().collect(),
    }
}

#[test]
fn pods_reach_each_other_and_the_node_and_nothing_is_left_of_them() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut bridge = bridge(folder.path());
        let (one, two) = (Pod::new(), Pod::new());
        let ip = bridge.reserve("aaaaaaaaaaaaaaaa").unwrap();
        assert_eq!(bridge.attach("aaaaaaaaaaaaaaaa", &one.0).unwrap(), ip);
        assert_eq!(bridge.attach("aaaaaaaaaaaaaaaa", &one.0).unwrap(), ip);
        let other = bridge.reserve("bbbbbbbbbbbbbbbb").unwrap();
        bridge.attach("bbbbbbbbbbbbbbbb", &two.0).unwrap();
        one.serve("one");
        let asked = two.ask(ip, PORT);
        assert_eq!(asked, Ok(format!("one to {other}")), "with its own address");
        assert_eq!(ask(ip, PORT), Ok("one to 10.88.7.1".to_owned()));
        assert_eq!(one.ask(ip, PORT), Ok(format!("one to {ip}")), "itself");
        let loopback = one.inside(|| ask(Ipv4Addr::LOCALHOST, PORT));
        assert_eq!(loopback, Ok("one to 127.0.0.1".to_owned()));

        for _ in 0..2 {
            bridge.detach("aaaaaaaaaaaaaaaa").unwrap();
            bridge.detach("bbbbbbbbbbbbbbbb").unwrap();
            bridge.down().unwrap();
        }
        assert!(!bridge.is_used());
        assert_eq!(links(), ["lo"]);
        assert_eq!(one.inside(links), ["lo"]);
    });
}

#[test]
fn a_service_balances_over_its_endpoints_and_refuses_without_any() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut bridge = bridge(folder.path());
        let pods = [("one", Pod::new()), ("two", Pod::new())];
        let mut ips = Vec::new();
        for (name, pod) in &pods {
            ips.push(bridge.reserve(name).unwrap());
            bridge.attach(name, &pod.0).unwrap();
            pod.serve(name);
        }
        let virtual_ip = subnets().service(0).unwrap();
        let asker = &pods[0].1;
        let refused = Err(ErrorKind::ConnectionRefused);
        bridge.rules(&service(&[], false)).unwrap();
        assert_eq!(asker.ask(virtual_ip, 80), refused);
        assert_eq!(ask(virtual_ip, 80), refused, "asked by the node");

        bridge.rules(&service(&ips, false)).unwrap();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..60 {
            let answer = asker.ask(virtual_ip, 80).unwrap();
            let word = answer.split(' ').next().unwrap().to_owned();
            *seen.entry(word).or_default() += 1;
        }
        // Of 60 fair throws, fewer than 6 of a kind come once in 10^10 times.
        assert!(seen.len() == 2 && seen.values().all(|n| *n > 5), "{seen:?}");
        assert_eq!(asker.ask(virtual_ip, 81), refused, "a port that it has not");
        assert!(ask(virtual_ip, 80).is_ok(), "asked by the node");
        let gateway = subnets().gateway();
        assert!(asker.ask(gateway, 30_080).is_ok(), "by the node's port");
        assert!(ask(gateway, 30_080).is_ok(), "likewise, by the node");
        assert_eq!(ask(gateway, 30_081), refused, "not by any other");
        bridge.rules(&service(&[], false)).unwrap();
        assert_eq!(ask(gateway, 30_080), refused, "nobody is behind it");

        bridge.rules(&service(&ips, true)).unwrap();
        let first = asker.ask(virtual_ip, 80).unwrap();
        for _ in 0..20 {
            assert_eq!(asker.ask(virtual_ip, 80).as_ref(), Ok(&first));
        }
        bridge.down().unwrap();
    });
}

#[test]
fn a_host_port_leads_to_its_pod() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut bridge = bridge(folder.path());
        let (pod, other) = (Pod::new(), Pod::new());
        let ip = bridge.reserve("one").unwrap();
        bridge.attach("one", &pod.0).unwrap();
        bridge.reserve("two").unwrap();
        bridge.attach("two", &other.0).unwrap();
        pod.serve("one");
        let to_pod = ip;
        let to = |ip, port| HostPort {
            ip,
            transport: Protocol::Tcp,
            port,
            to: Endpoint {
                ip: to_pod,
                port: PORT,
            },
        };
        let gateway = subnets().gateway();
        let rules = Rules {
            host_ports: vec![
                to(None, 9000),
                to(Some(gateway), 9001),
                to(Some(Ipv4Addr::new(10, 1, 1, 1)), 9002),
            ],
            pods: [ip].into(),
            ..Rules::default()
        };
        bridge.rules(&rules).unwrap();
        for port in [9000, 9001] {
            assert!(other.ask(gateway, port).is_ok(), "{port}");
            assert!(ask(gateway, port).is_ok(), "{port}, by the node");
            assert!(pod.ask(gateway, port).is_ok(), "{port}, by itself");
        }
        assert_eq!(other.ask(gateway, 9002), Err(ErrorKind::ConnectionRefused));
        bridge.down().unwrap();
    });
}

#[test]
fn pods_that_come_and_go_are_no_matter_to_the_others() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut bridge = bridge(folder.path());
        let pod = Pod::new();
        let ip = bridge.reserve("stays").unwrap();
        bridge.attach("stays", &pod.0).unwrap();
        pod.serve("stays");
        for n in 0..8 {
            let (name, other) = (format!("goes{n}"), Pod::new());
            bridge.reserve(&name).unwrap();
            bridge.attach(&name, &other.0).unwrap();
            assert!(other.ask(ip, PORT).is_ok(), "{name} is there");
            bridge.detach(&name).unwrap();
            assert!(ask(ip, PORT).is_ok(), "{name} is gone");
        }
        bridge.down().unwrap();
    });
}

#[test]
fn a_next_daemon_mends_what_is_missing_and_takes_all_of_it_away() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut first = bridge(folder.path());
        let pod = Pod::new();
        let ip = first.reserve("one").unwrap();
        first.attach("one", &pod.0).unwrap();
        drop(first);
        // Somebody has removed the bridge, and the pair with it.
        let status = std::process::Command::new("ip")
            .args(["link", "delete", "pwvone"])
            .status();
        assert!(status.unwrap().success());
        let mut second = bridge(folder.path());
        assert_eq!(second.holders(), ["one"]);
        assert_eq!(second.attach("one", &pod.0).unwrap(), ip);
        pod.serve("one");
        assert!(ask(ip, PORT).is_ok());
        second.rules(&service(&[ip], false)).unwrap();
        // A sandbox that has ended has taken its namespace and the pair with it.
        drop(pod);
        second.detach("one").unwrap();
        second.down().unwrap();
        assert_eq!(links(), ["lo"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}

#[test]
fn more_services_than_fit_in_one_message_are_written() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let bridge = bridge(folder.path());
        bridge.up().unwrap();
        let one = |n: u16| VirtualPort {
            ip: subnets().service(0).unwrap(),
            transport: Protocol::Udp,
            port: n,
            node_port: None,
            endpoints: vec![Endpoint {
                ip: subnets().pod(0).unwrap(),
                port: n,
            }],
            sticky: false,
        };
        let rules = Rules {
            virtual_ports: (1..=1200).map(one).collect(),
            ..Rules::default()
        };
        bridge.rules(&rules).unwrap();
        bridge.rules(&Rules::default()).unwrap();
        bridge.down().unwrap();
    });
}

#[test]
fn what_is_possible_is_tried_out_and_nothing_is_left_of_it() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("tried");
        let tried = pod_network::possible(subnets(), &own).unwrap();
        assert!(tried.bridge.is_ok() && tried.rules.is_ok(), "{tried:?}");
        assert_eq!(links(), ["lo"]);
        assert!(!own.exists());
    });
}

#[test]
fn a_link_that_is_no_bridge_is_left_alone() {
    in_node(|| {
        let folder = tempfile::tempdir().unwrap();
        let bridge = Bridge::open("lo", subnets(), folder.path()).unwrap();
        let error = bridge.up().unwrap_err().to_string();
        assert!(error.contains("no bridge"), "{error}");
        assert!(Bridge::open("a/b", subnets(), folder.path()).is_err());
        assert!(Bridge::open("sixteen-letters-", subnets(), folder.path()).is_err());
    });
}
