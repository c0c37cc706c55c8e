//! The server: routes, and what each of them answers.

mod answer;
mod archive;
mod configs;
mod count;
mod discovery;
mod exec;
mod listing;
mod logs;
mod own;
mod patching;
mod pods;
mod selection;
mod services;
mod update;
mod watching;

use crate::backend::{Backend, ConfigKind};
use crate::socket;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use count::Counting;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;
use update::Part;

/// The most bytes of an object that a request may hold: as an API server has it, 3 MiB.
const LARGEST_OBJECT: usize = 3 * 1024 * 1024;

/// The API of one node, bound to its socket.
#[derive(Debug)]
pub struct Server<B> {
    listener: UnixListener,
    backend: Arc<B>,
}

impl<B: Backend> Server<B> {
    /// Binds `<run>/api.sock`, mode 0600. To be called within a tokio runtime. `AddrInUse`: another node serves there.
    pub fn bind(run: &Path, backend: Arc<B>) -> io::Result<Self> {
        Ok(Self {
            listener: socket::listen(run)?,
            backend,
        })
    }

    /// Serves until it is dropped. `client` is called for each connection; what it gives is dropped when the connection ends.
    pub async fn serve<C, F>(self, client: F) -> io::Result<()>
    where
        C: Send + Unpin + 'static,
        F: Fn() -> C + Clone + Send + Sync + 'static,
    {
        let listener = Counting::new(self.listener, client);
        axum::serve(listener, routes(self.backend)).await
    }
}

/// Every path that is served.
pub fn routes<B: Backend>(backend: Arc<B>) -> Router {
    Router::new()
        .merge(kubernetes())
        .merge(config_routes(ConfigKind::ConfigMap))
        .merge(config_routes(ConfigKind::Secret))
        .merge(service_routes())
        .nest("/apis/podwright.io/v1", own_group())
        .fallback(answer::no_such_path)
        .method_not_allowed_fallback(answer::no_such_verb)
        .layer(DefaultBodyLimit::max(LARGEST_OBJECT))
        .with_state(backend)
}

fn kubernetes<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/version", get(discovery::version))
        .route("/healthz", get(discovery::healthz))
        .route("/livez", get(discovery::healthz))
        .route("/readyz", get(discovery::healthz))
        .route("/api", get(discovery::api))
        .route("/apis", get(discovery::apis))
        .route("/api/v1", get(discovery::core))
        .route("/apis/podwright.io/v1", get(discovery::own))
        .route("/api/v1/pods", get(pods::list_all::<B>))
        .route("/api/v1/events", get(pods::events_all::<B>))
        .route(
            "/api/v1/namespaces/{namespace}/events",
            get(pods::events::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods",
            get(pods::list::<B>).post(pods::create::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}",
            get(pods::get::<B>)
                .put(update::replace::<B>)
                .patch(|state, path, headers, body| {
                    update::patch::<B>(Part::Whole, state, path, headers, body)
                })
                .delete(pods::delete::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/status",
            get(pods::get::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/ephemeralcontainers",
            get(pods::get::<B>)
                .put(update::replace_ephemeral::<B>)
                .patch(|state, path, headers, body| {
                    update::patch::<B>(Part::Ephemeral, state, path, headers, body)
                }),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/resize",
            get(pods::get::<B>)
                .put(update::replace_resources::<B>)
                .patch(|state, path, headers, body| {
                    update::patch::<B>(Part::Resources, state, path, headers, body)
                }),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/log",
            get(logs::log::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/pods/{name}/exec",
            get(exec::exec::<B>).post(exec::exec::<B>),
        )
}

fn config_routes<B: Backend>(kind: ConfigKind) -> Router<Arc<B>> {
    let resource = kind.resource();
    let one = format!("/api/v1/namespaces/{{namespace}}/{resource}/{{name}}");
    Router::new()
        .route(
            &format!("/api/v1/{resource}"),
            get(move |state, query| configs::list_all::<B>(kind, state, query)),
        )
        .route(
            &format!("/api/v1/namespaces/{{namespace}}/{resource}"),
            get(move |state, path, query| configs::list::<B>(kind, state, path, query))
                .post(move |state, path, body| configs::create::<B>(kind, state, path, body)),
        )
        .route(
            &one,
            get(move |state, path| configs::get::<B>(kind, state, path))
                .put(move |state, path, body| configs::replace::<B>(kind, state, path, body))
                .patch(move |state, path, headers, body| {
                    configs::patch::<B>(kind, state, path, headers, body)
                })
                .delete(move |state, path| configs::delete::<B>(kind, state, path)),
        )
}

fn service_routes<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/api/v1/services", get(services::list_all::<B>))
        .route(
            "/api/v1/namespaces/{namespace}/services",
            get(services::list::<B>).post(services::create::<B>),
        )
        .route(
            "/api/v1/namespaces/{namespace}/services/{name}",
            get(services::get::<B>)
                .put(services::replace::<B>)
                .patch(services::patch::<B>)
                .delete(services::delete::<B>),
        )
}

fn own_group<B: Backend>() -> Router<Arc<B>> {
    Router::new()
        .route("/node", get(own::node::<B>))
        .route("/reset", post(own::reset::<B>))
        .route(
            "/images",
            get(own::images::<B>).merge(delete(own::remove_image::<B>)),
        )
        .route(
            "/images/import",
            post(own::import_image::<B>).layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/namespaces/{namespace}/pods/{name}/plan",
            get(own::plan::<B>),
        )
        .route(
            "/namespaces/{namespace}/pods/{name}/attempts",
            get(own::attempts::<B>),
        )
        .route(
            "/namespaces/{namespace}/pods/{name}/stats",
            get(own::stats::<B>),
        )
        .route(
            "/namespaces/{namespace}/pods/{name}/debug",
            get(exec::debug::<B>).post(exec::debug::<B>),
        )
        .route(
            "/namespaces/{namespace}/pods/{name}/retry",
            post(own::retry::<B>),
        )
}
