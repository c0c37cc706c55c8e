//! The node's ConfigMaps and Secrets, and what containers learn of Services.

use super::records::Records;
use super::services::Services;
use jiff::Timestamp;
use pod_api::backend::{ApiResult, ConfigKind, ConfigRecord};
use pod_api::error::ApiError;
use pod_api::feed::{Feed, Key, Versions};
use pod_driver::world::Objects;
use pod_model::ids::Namespace;
use pod_plan::configs::service_env::Service;
use pod_plan::configs::sources::Sources;
use std::sync::Arc;

/// All of them: on disk, and in the feeds that clients list and watch.
#[derive(Debug)]
pub struct Configs {
    services: Arc<Services>,
    maps: Arc<Feed<ConfigRecord>>,
    secrets: Arc<Feed<ConfigRecord>>,
    records: Records,
}

impl Configs {
    /// Those that were kept.
    ///
    /// # Errors
    /// One cannot be read now.
    pub fn open(
        records: Records,
        versions: &Versions,
        services: Arc<Services>,
    ) -> anyhow::Result<Self> {
        let configs = Self {
            services,
            maps: Arc::new(Feed::new(versions.clone())),
            secrets: Arc::new(Feed::new(versions.clone())),
            records,
        };
        for config in configs.records.configs()? {
            configs.feed(config.kind).put(config.key(), config);
        }
        Ok(configs)
    }

    /// The feed of one kind.
    pub fn feed(&self, kind: ConfigKind) -> &Arc<Feed<ConfigRecord>> {
        match kind {
            ConfigKind::ConfigMap => &self.maps,
            ConfigKind::Secret => &self.secrets,
        }
    }

    /// Keeps one: there must be one already if `replace`, none otherwise.
    pub fn put(&self, mut config: ConfigRecord, replace: bool, now: Timestamp) -> ApiResult<()> {
        let resource = config.kind.resource();
        let key = config.key();
        let before = self.feed(config.kind).get(&key);
        match (&before, replace) {
            (Some(_), false) => return Err(ApiError::already_exists(resource, &config.name)),
            (None, true) => return Err(ApiError::not_found(resource, &config.name)),
            _ => {}
        }
        match before {
            Some(before) => {
                config.uid.clone_from(&before.value.uid);
                config.created = before.value.created;
            }
            None => {
                config.uid = uuid::Uuid::new_v4().to_string();
                config.created = Some(now);
            }
        }
        self.records
            .keep_config(&config)
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        self.feed(config.kind).put(key, config);
        Ok(())
    }

    /// Forgets one.
    pub fn delete(&self, kind: ConfigKind, key: &Key) -> ApiResult<()> {
        let Some(config) = self.feed(kind).get(key) else {
            return Err(ApiError::not_found(kind.resource(), &key.name));
        };
        self.records
            .forget_config(&config.value)
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        self.feed(kind).remove(key);
        Ok(())
    }
}

impl Objects for Configs {
    fn sources(&self, namespace: &Namespace) -> Sources {
        let of = |feed: &Feed<ConfigRecord>| {
            let (all, _) = feed.list();
            let here = all
                .into_iter()
                .filter(|(key, _)| key.namespace == namespace.as_str());
            here.map(|(key, config)| (key.name, config.value.data.clone()))
                .collect()
        };
        Sources {
            config_maps: of(&self.maps),
            secrets: of(&self.secrets),
        }
    }

    fn services(&self) -> Vec<Service> {
        self.services.environment()
    }
}
