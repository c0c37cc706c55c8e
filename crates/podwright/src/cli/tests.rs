//! The command line by itself: what is read, what is refused.

use super::args::{Cli, Command};
use super::connect::Places;
use clap::{CommandFactory, Parser};
use std::path::Path;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("podwright").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_form_of_the_commands_is_read() {
    for line in [
        "run pod.yaml",
        "run -d --replace pod.yaml other.yaml",
        "run --keep --status-file s.json --allow-unsupported -",
        "--root /r --run /u --cgroup-root /c --color never run pod.yaml",
        "run pod.yaml --root /r",
        "create -f a.yaml -f dir",
        "get pods -A -o wide",
        "get pod/a secret/b -o json",
        "get -f a.yaml",
        "get po -l app=web,tier!=db -w",
        "get pods -o jsonpath={.items[*].metadata.name}",
        "get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP --no-headers",
        "get pods --sort-by=.metadata.creationTimestamp -L app,tier",
        "get pod a --ignore-not-found -o name",
        "describe pod a b",
        "logs a -c init -f --tail 50 --since 5m --timestamps",
        "logs a --previous",
        "logs a --attempt 2",
        "logs a --all-containers --prefix",
        "logs -l app=web -f --prefix --tail 5",
        "logs --filename a.yaml",
        "exec a -c init -it -- sh -c true",
        "delete pod a --grace-period 5 --wait=false",
        "delete -f a.yaml --now",
        "delete pods --all",
        "delete pod a --grace-period=0 --force",
        "delete pod a --force",
        "wait pod/a --for=condition=Initialized --timeout=1m",
        "wait pods --all --for delete --timeout -1s",
        "events --for pod/a --types Warning -w",
        "image import layout:v1 --name busybox",
        "image import -",
        "image ls -q",
        "image rm a b --force",
        "version -o json",
        "reset --yes",
        "completion bash",
        "node --foreground",
        "node --on-demand",
        "man /tmp/x",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for line in [
        "",
        "run",
        "create",
        "exec a",
        "exec a sh",
        "get pods -A -n x",
        "get pods -o bogus",
        "get pods --sort-by .metadata[",
        "get pods --sort-by .metadata.name -w",
        "logs a --previous --attempt 1",
        "logs a -c x --all-containers",
        "logs a -l app=web",
        "delete pod a --now --grace-period 3",
        "delete pod a --now --force",
        "image ls -o json -q",
        "events --types Bad",
        "node --foreground --on-demand",
        "frobnicate",
    ] {
        assert!(parse(line).is_err(), "{line:?} was read");
    }
}

#[test]
fn the_words_after_two_dashes_are_the_containers() {
    let cli = parse("exec a -- ls -n --root /x").unwrap();
    let Command::Exec(args) = cli.command else {
        panic!("not exec");
    };
    assert_eq!(args.command, ["ls", "-n", "--root", "/x"]);
    assert_eq!(cli.places.root, Path::new("/var/lib/podwright"));
}

#[test]
fn a_node_with_a_root_of_its_own_keeps_its_logs_there() {
    let places = |line: &str| Places::of(&parse(line).unwrap().places).unwrap();
    assert_eq!(places("version").logs, Path::new("/var/log/pods"));
    assert_eq!(places("--root /r version").logs, Path::new("/r/logs"));
    assert_eq!(places("--root /r --logs /l version").logs, Path::new("/l"));
    assert!(places("--root r version").root.is_absolute());
}
