//! Node daemons that come and go.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod common;

use common::{Sandbox, until};
use pod_sys::frame;
use pod_wire::VERSION;
use pod_wire::supervisor::{Descriptor, Event, FromSupervisor, Hello, ReplyBody, RequestBody};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;

fn state(body: ReplyBody) -> Vec<(String, Option<i32>)> {
    match body {
        ReplyBody::State(all) => all
            .into_iter()
            .map(|c| (c.id, c.exit.map(|e| e.code)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exit_while_no_node_is_connected_is_kept_for_the_next_one() {
    let mut pod = Sandbox::new("away");
    let container = pod.container("c1", "sleep 0.2; exit 37");
    let exit_file = container.exit_file.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    pod.node.socket.shutdown(std::net::Shutdown::Both).unwrap();
    until("it has ended", || fs::read(&exit_file).unwrap()[0] == b'{');
    let mut node = pod.connect(2);
    let (body, _) = node.ok(RequestBody::State);
    assert_eq!(state(body), [("c1".to_owned(), Some(37))]);
}

#[test]
fn the_same_number_gets_the_same_answer_and_no_second_effect() {
    let mut pod = Sandbox::new("replay");
    let container = pod.container("c1", "echo once; sleep 100");
    let create = RequestBody::CreateAndStart(container);
    let (first, fds) = {
        let id = pod.node.ask(create.clone());
        assert_eq!(id, 1);
        pod.node.answer(id)
    };
    let mut again = pod.connect(1);
    again.ask_as(1, create, &[]);
    let (second, more) = again.answer(1);
    assert_eq!(first, second);
    assert_eq!((fds.len(), more.len()), (3, 3));
    until("it is up", || !pod.log("c1").is_empty());
    assert_eq!(pod.log("c1"), "stdout F once\n");
}

#[test]
fn two_connections_that_ask_for_the_same_at_once_both_get_the_one_answer() {
    let mut pod = Sandbox::new("twice");
    let container = pod.container("c1", "sleep 100");
    let mut other = pod.connect(1);
    let create = RequestBody::CreateAndStart(container);
    pod.node.ask_as(9, create.clone(), &[]);
    other.ask_as(9, create, &[]);
    assert_eq!(pod.node.answer(9).0.unwrap(), other.answer(9).0.unwrap());
}

#[test]
fn the_newest_generation_wins_and_older_ones_are_cut_off() {
    let mut pod = Sandbox::new("fence");
    let mut newer = pod.connect(5);
    newer.ok(RequestBody::State);
    assert!(
        pod.node.frame().is_none(),
        "the older connection is still served"
    );
    let mut older = pod.connect(4);
    assert!(older.frame().is_none(), "an older generation was let in");
    newer.ok(RequestBody::State);
    let mut same = pod.connect(5);
    same.ok(RequestBody::State);
    newer.ok(RequestBody::State);
}

#[test]
fn a_peer_that_speaks_nonsense_is_cut_off_and_harms_nobody() {
    let mut pod = Sandbox::new("nonsense");
    for bytes in [&b"{"[..], b"{\"version\":99999}", &[0xff; 100]] {
        let socket = pod_sys::socket::connect(&pod.dir.join("supervisor.sock")).unwrap();
        assert!(frame::recv(&socket).unwrap().is_some());
        frame::send(&socket, bytes, &[]).unwrap();
        assert!(frame::recv(&socket).unwrap_or(None).is_none());
    }
    let mut unknown = pod.connect(1);
    frame::send(&unknown.socket, br#"{"id":1,"body":"Dance"}"#, &[]).unwrap();
    assert_eq!(unknown.answer(1).0.unwrap_err().step, "request");
    pod.node.ok(RequestBody::State);
}

#[test]
fn r31_a_peer_of_an_older_protocol_by_one_is_served() {
    let pod = Sandbox::new("version");
    let socket = pod_sys::socket::connect(&pod.dir.join("supervisor.sock")).unwrap();
    let hello = Hello {
        version: VERSION - 1,
        generation: 1,
        pid: 1,
    };
    frame::send(&socket, &serde_json::to_vec(&hello).unwrap(), &[]).unwrap();
    frame::recv(&socket).unwrap().unwrap();
    frame::send(&socket, br#"{"id":1,"body":"State"}"#, &[]).unwrap();
    let (bytes, _) = frame::recv(&socket).unwrap().unwrap();
    assert_eq!(bytes, br#"{"Reply":{"id":1,"result":{"Ok":{"State":[]}}}}"#);
}

#[test]
fn what_a_killed_node_had_asked_for_is_made_before_the_next_one_is_told_the_state() {
    let mut pod = Sandbox::new("making");
    let container = pod.container("c1", "sleep 100");
    pod.manner(&container, "slow");
    let exit_file = container.exit_file.clone();
    pod.node.ask(RequestBody::CreateAndStart(container));
    until("it is being made", || exit_file.exists());
    let mut next = pod.connect(2);
    let (body, _) = next.ok(RequestBody::State);
    assert_eq!(state(body), [("c1".to_owned(), None)]);
}

#[test]
fn what_is_to_be_held_of_a_container_comes_before_its_start_is_answered() {
    let mut pod = Sandbox::new("made");
    let container = pod.container("c1", "exit 37");
    let id = pod.node.ask(RequestBody::CreateAndStart(container));
    let (bytes, mut fds) = pod.node.frame().expect("an event");
    let event = match serde_json::from_slice(&bytes).unwrap() {
        FromSupervisor::Event(event) => event,
        FromSupervisor::Reply(reply) => panic!("{reply:?}"),
    };
    let descriptors = vec![Descriptor::Process, Descriptor::Stdout, Descriptor::Stderr];
    assert_eq!(fds.len(), descriptors.len());
    let made = Event::Made {
        id: "c1".to_owned(),
        descriptors,
    };
    assert_eq!(event, made);
    assert!(pod.node.answer(id).0.is_ok());
    assert_eq!(pod.node.exited("c1").code, 37);
    // It is the process's own: it says that it has ended.
    let pidfd = fds.remove(0);
    let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
    assert_eq!(poll(&mut ended, None), Ok(1));
}
