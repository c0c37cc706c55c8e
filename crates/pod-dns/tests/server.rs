//! The server over real sockets of loopback, with a resolver of the test's own behind it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use pod_dns::server::Server;
use pod_dns::zone::{Endpoint, Service, Zone};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

fn zone(upstream: Vec<SocketAddr>) -> Zone {
    let endpoint = |n: u8| Endpoint {
        address: Ipv4Addr::new(10, 88, 0, n),
        hostname: None,
        ports: Vec::new(),
    };
    let service = |name: &str, address, endpoints| Service {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        address,
        ports: Vec::new(),
        endpoints,
    };
    Zone {
        domain: "cluster.local".to_owned(),
        address: Ipv4Addr::LOCALHOST,
        subnets: Vec::new(),
        services: vec![
            service("web", Some(Ipv4Addr::new(10, 89, 0, 1)), Vec::new()),
            service("many", None, (1..=100).map(endpoint).collect()),
        ],
        pods: Vec::new(),
        upstream,
    }
}

/// A server on ports of loopback, in a thread of its own.
fn serve(zone: &Zone) -> (SocketAddr, Server) {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    let server = Server::new(zone);
    let serving = server.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            tcp.set_nonblocking(true).unwrap();
            udp.set_nonblocking(true).unwrap();
            let udp = tokio::net::UdpSocket::from_std(udp).unwrap();
            let tcp = tokio::net::TcpListener::from_std(tcp).unwrap();
            let _ = tokio::join!(serving.datagrams(udp), serving.streams(tcp));
        });
    });
    (address, server)
}

/// A resolver that answers every question with one address, over datagrams.
fn resolver(ip: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let mut answer = Message::from_vec(&buffer[..length])
                .unwrap()
                .into_response();
            let name = answer.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A(ip))));
            // Somebody else's answer comes first.
            let mut other = answer.clone();
            other.metadata.id = answer.metadata.id.wrapping_add(1);
            socket.send_to(&other.to_vec().unwrap(), client).unwrap();
            socket.send_to(&answer.to_vec().unwrap(), client).unwrap();
        }
    });
    address
}

fn query(name: &str) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

fn ask(server: SocketAddr, name: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let query = query(name);
    socket.send_to(&query.to_vec().unwrap(), server).unwrap();
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.id, query.metadata.id);
    answer
}

fn ask_by_stream(stream: &mut TcpStream, name: &str) -> Message {
    let bytes = query(name).to_vec().unwrap();
    stream
        .write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).unwrap();
    Message::from_vec(&bytes).unwrap()
}

fn addresses(answer: &Message) -> Vec<String> {
    answer.answers.iter().map(|r| r.data.to_string()).collect()
}

#[test]
fn a_new_zone_is_served_at_once_and_a_name_that_is_not_in_it_does_not_exist() {
    let mut zone = zone(Vec::new());
    let (address, server) = serve(&zone);
    let web = "web.default.svc.cluster.local.";
    assert_eq!(addresses(&ask(address, web)), ["10.89.0.1"]);
    zone.services.clear();
    server.replace(&zone);
    let gone = ask(address, web);
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
}

#[test]
fn what_does_not_fit_into_a_datagram_comes_by_a_stream() {
    let (address, _server) = serve(&zone(Vec::new()));
    let many = "many.default.svc.cluster.local.";
    let short = ask(address, many);
    assert!(short.metadata.truncation && short.answers.is_empty());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..2 {
        assert_eq!(ask_by_stream(&mut stream, many).answers.len(), 100);
    }
}

#[test]
fn other_names_are_asked_of_the_nodes_resolvers_and_only_their_own_answers_count() {
    let resolver = resolver(Ipv4Addr::new(192, 0, 2, 7));
    let (address, server) = serve(&zone(vec![resolver]));
    assert_eq!(addresses(&ask(address, "example.org.")), ["192.0.2.7"]);
    let own = ask(address, "nothing.default.svc.cluster.local.");
    assert_eq!(own.metadata.response_code, ResponseCode::NXDomain);
    // Nobody listens on a port that was just let go: refused, not waited for.
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    server.replace(&zone(vec![closed]));
    let began = Instant::now();
    let failed = ask(address, "example.org.");
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
    server.replace(&zone(Vec::new()));
    let none = ask(address, "example.org.");
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_is_no_query_is_not_answered_and_harms_nobody() {
    let (address, _server) = serve(&zone(Vec::new()));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let answer = query("x.").into_response().to_vec().unwrap();
    for bytes in [&[][..], &[0; 3], &[0xff; 600], &answer] {
        socket.send_to(bytes, address).unwrap();
    }
    assert!(socket.recv(&mut [0; 512]).is_err(), "an answer to no query");
    assert_eq!(
        ask(address, "web.default.svc.cluster.local.").answers.len(),
        1
    );
}
