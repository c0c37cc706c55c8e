//! A probe on one line.

use pod_model::pod::{IntOrString, Probe};

/// `exec [a b] delay=0s timeout=1s period=10s #success=1 #failure=3`.
pub fn probe_text(probe: &Probe) -> String {
    let numbers = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.timeout_seconds.unwrap_or(0),
        probe.period_seconds.unwrap_or(0),
        probe.success_threshold.unwrap_or(0),
        probe.failure_threshold.unwrap_or(0),
    );
    let handler = &probe.handler;
    if let Some(exec) = &handler.exec {
        return format!("exec [{}] {numbers}", exec.command.join(" "));
    }
    if let Some(get) = &handler.http_get {
        let scheme = match get.scheme.as_deref().unwrap_or_default() {
            "" => String::new(),
            scheme => format!("{}:", scheme.to_lowercase()),
        };
        let host = get.host.as_deref().unwrap_or_default();
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let path = escaped(get.path.as_deref().unwrap_or_default());
        let slash = if path.is_empty() || path.starts_with('/') {
            ""
        } else {
            "/"
        };
        let port = port_text(&get.port);
        return format!("http-get {scheme}//{host}:{port}{slash}{path} {numbers}");
    }
    if let Some(tcp) = &handler.tcp_socket {
        let host = tcp.host.as_deref().unwrap_or_default();
        return format!("tcp-socket {host}:{} {numbers}", port_text(&tcp.port));
    }
    if let Some(grpc) = &handler.grpc {
        let service = grpc.service.as_deref().unwrap_or_default();
        return format!("grpc <pod>:{} {service} {numbers}", grpc.port);
    }
    format!("unknown {numbers}")
}

fn port_text(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(n) => n.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

/// As Go writes the path of a URL: what may not stand there, the question mark included, by its bytes in hexadecimal.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
