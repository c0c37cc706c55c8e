//! What a probe or a hook does, resolved from the container's spec: ports by number, commands expanded.

use crate::configs::expansion::expand;
use pod_model::pod::{Container, Handler, HttpGetAction, IntOrString};

/// Version in the `User-Agent` of probes and hooks: that of the Kubernetes release that podwright follows.
const VERSION: &str = "1.36";

/// One thing to do to a container from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a program in it.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// Ask it for a page.
    Http(HttpGet),
    /// Connect to it.
    Tcp {
        /// Where to; `None` = the pod itself.
        host: Option<String>,
        /// Port.
        port: u16,
    },
    /// Ask it by the gRPC health protocol.
    Grpc {
        /// Port.
        port: u16,
        /// The service asked for; "" = the server as a whole.
        service: String,
        /// `User-Agent`.
        user_agent: String,
    },
    /// Do nothing for that long.
    Sleep {
        /// Seconds.
        seconds: u64,
    },
}

/// A GET request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGet {
    /// Over TLS, without looking at the certificate.
    pub tls: bool,
    /// Where to; `None` = the pod itself.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// Path, query included, as the user wrote it.
    pub path: String,
    /// Headers to send, in this order.
    pub headers: Vec<(String, String)>,
}

/// What an action is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A probe. `$(NAME)` in its command is expanded with the values that the container's spec has as they stand.
    Probe,
    /// A lifecycle hook. Its command is taken as it is.
    Hook,
}

/// What that handler of the container does.
///
/// # Errors
/// A named port that the container has not, a port out of range, or no handler: in the words of the kubelet.
pub fn action(
    container: &Container,
    handler: &Handler,
    purpose: Purpose,
) -> Result<Action, String> {
    if let Some(exec) = &handler.exec {
        return Ok(Action::Exec {
            command: command(container, &exec.command, purpose),
        });
    }
    if let Some(get) = &handler.http_get {
        return http(container, get, purpose).map(Action::Http);
    }
    if let Some(tcp) = &handler.tcp_socket {
        return Ok(Action::Tcp {
            host: tcp.host.clone().filter(|h| !h.is_empty()),
            port: port(container, &tcp.port)?,
        });
    }
    if let Some(grpc) = &handler.grpc {
        return Ok(Action::Grpc {
            port: number(i64::from(grpc.port))?,
            service: grpc.service.clone().unwrap_or_default(),
            user_agent: user_agent(purpose),
        });
    }
    if let Some(sleep) = &handler.sleep {
        return Ok(Action::Sleep {
            seconds: u64::try_from(sleep.seconds).unwrap_or(0),
        });
    }
    Err(format!(
        "container {} has a handler of no kind",
        container.name
    ))
}

fn command(container: &Container, command: &[String], purpose: Purpose) -> Vec<String> {
    if purpose == Purpose::Hook {
        return command.to_vec();
    }
    let value = |name: &str| {
        let found = container.env.iter().rev().find(|e| e.name == name);
        found.map(|e| e.value.clone().unwrap_or_default())
    };
    command.iter().map(|word| expand(word, value)).collect()
}

fn http(container: &Container, get: &HttpGetAction, purpose: Purpose) -> Result<HttpGet, String> {
    let mut headers: Vec<(String, String)> = get
        .http_headers
        .iter()
        .map(|h| (h.name.clone(), h.value.clone()))
        .collect();
    let named = |list: &[(String, String)], name: &str| {
        list.iter().position(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    if named(&headers, "user-agent").is_none() {
        headers.push(("User-Agent".to_owned(), user_agent(purpose)));
    }
    match named(&headers, "accept") {
        None => headers.push(("Accept".to_owned(), "*/*".to_owned())),
        // An empty one asks for none at all.
        Some(_) => headers.retain(|(n, v)| !(n.eq_ignore_ascii_case("accept") && v.is_empty())),
    }
    let scheme = get.scheme.as_deref().unwrap_or("HTTP");
    Ok(HttpGet {
        tls: scheme.eq_ignore_ascii_case("https"),
        host: get.host.clone().filter(|h| !h.is_empty()),
        port: port(container, &get.port)?,
        path: get.path.clone().unwrap_or_default(),
        headers,
    })
}

fn user_agent(purpose: Purpose) -> String {
    let what = match purpose {
        Purpose::Probe => "probe",
        Purpose::Hook => "lifecycle",
    };
    format!("kube-{what}/{VERSION}")
}

/// A port by number or by its name in the container; a number may be written as a text.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    match port {
        IntOrString::Int(n) => number(i64::from(*n)),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter();
            match ports.find(|p| p.name.as_deref() == Some(name.as_str())) {
                Some(found) => number(i64::from(found.container_port)),
                None => match name.parse::<i64>() {
                    Ok(n) => number(n),
                    Err(_) => Err(format!("strconv.Atoi: parsing {name:?}: invalid syntax")),
                },
            }
        }
    }
}

fn number(port: i64) -> Result<u16, String> {
    match u16::try_from(port) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("invalid port number: {port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::pod::{EnvVar, ExecAction, HttpHeader, Port, TcpSocketAction};

    fn container() -> Container {
        Container {
            name: "c".into(),
            ports: vec![Port {
                name: Some("web".to_owned()),
                container_port: 8080,
                ..Port::default()
            }],
            env: vec![EnvVar {
                name: "FILE".to_owned(),
                value: Some("/ok".to_owned()),
                ..EnvVar::default()
            }],
            ..Container::default()
        }
    }

    #[test]
    fn a_port_is_a_number_a_name_or_a_number_as_text() {
        for (asked, port) in [
            (IntOrString::Int(80), Ok(80)),
            (IntOrString::String("web".to_owned()), Ok(8080)),
            (IntOrString::String("81".to_owned()), Ok(81)),
            (IntOrString::Int(0), Err("invalid port number: 0")),
            (IntOrString::Int(65_536), Err("invalid port number: 65536")),
            (
                IntOrString::String("ftp".to_owned()),
                Err("strconv.Atoi: parsing \"ftp\": invalid syntax"),
            ),
        ] {
            let handler = Handler {
                tcp_socket: Some(TcpSocketAction {
                    port: asked.clone(),
                    host: None,
                }),
                ..Handler::default()
            };
            let got = action(&container(), &handler, Purpose::Probe);
            let wanted = port
                .map(|port| Action::Tcp { host: None, port })
                .map_err(str::to_owned);
            assert_eq!(got, wanted, "{asked:?}");
        }
    }

    #[test]
    fn a_connection_goes_to_the_host_that_is_named_and_an_empty_name_is_none() {
        for (host, to) in [(None, None), (Some(""), None), (Some("db"), Some("db"))] {
            let handler = Handler {
                tcp_socket: Some(TcpSocketAction {
                    port: IntOrString::Int(80),
                    host: host.map(str::to_owned),
                }),
                ..Handler::default()
            };
            let wanted = Action::Tcp {
                host: to.map(str::to_owned),
                port: 80,
            };
            assert_eq!(action(&container(), &handler, Purpose::Probe), Ok(wanted));
        }
    }

    #[test]
    fn the_command_of_a_probe_is_expanded_and_that_of_a_hook_is_not() {
        let handler = Handler {
            exec: Some(ExecAction {
                command: vec!["cat".to_owned(), "$(FILE)".to_owned(), "$(X)".to_owned()],
            }),
            ..Handler::default()
        };
        for (purpose, second) in [(Purpose::Probe, "/ok"), (Purpose::Hook, "$(FILE)")] {
            let Ok(Action::Exec { command }) = action(&container(), &handler, purpose) else {
                panic!("no command");
            };
            assert_eq!(command, ["cat", second, "$(X)"]);
        }
    }

    #[test]
    fn a_request_says_who_asks_unless_the_user_says_it() {
        let get = |headers: &[(&str, &str)]| {
            let handler = Handler {
                http_get: Some(HttpGetAction {
                    path: Some("/health?x=1".to_owned()),
                    port: IntOrString::Int(80),
                    host: Some(String::new()),
                    scheme: Some("HTTPS".to_owned()),
                    http_headers: headers
                        .iter()
                        .map(|(name, value)| HttpHeader {
                            name: (*name).to_owned(),
                            value: (*value).to_owned(),
                        })
                        .collect(),
                }),
                ..Handler::default()
            };
            match action(&container(), &handler, Purpose::Probe) {
                Ok(Action::Http(get)) => get,
                other => panic!("{other:?}"),
            }
        };
        let plain = get(&[]);
        assert!(plain.tls && plain.host.is_none());
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            plain.headers,
            [pair("User-Agent", "kube-probe/1.36"), pair("Accept", "*/*")]
        );
        let own = get(&[("user-agent", "me"), ("Accept", "")]);
        assert_eq!(own.headers, [pair("user-agent", "me")]);
        // Only an empty Accept asks for none; another empty header is sent.
        let own = get(&[
            ("User-Agent", "me"),
            ("accept", "text/plain"),
            ("x-empty", ""),
        ]);
        let sent = [
            pair("User-Agent", "me"),
            pair("accept", "text/plain"),
            pair("x-empty", ""),
        ];
        assert_eq!(own.headers, sent);
    }
}
