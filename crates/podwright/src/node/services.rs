//! The node's Services: kept on disk, each with its virtual address; and what they ask of the network as pods come, get ready and go.

use super::network::{NodeNetwork, Wanted};
use super::records::Records;
use super::wanted::{Facts, wanted};
use jiff::Timestamp;
use pod_api::backend::{ApiResult, PodRecord, ServiceRecord};
use pod_api::error::{ApiError, Reason};
use pod_api::feed::{Feed, Key, Versions};
use pod_model::service::{NODE_PORTS, Protocol, Service, ServiceAddress, ServiceKind};
use pod_network::Subnets;
use pod_plan::configs::service_env;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// All Services: on disk, and in the feed that clients list and watch.
#[derive(Debug)]
pub struct Services {
    feed: Arc<Feed<ServiceRecord>>,
    records: Records,
    /// Held while an address is chosen and the Service entered.
    entering: Mutex<()>,
}

impl Services {
    /// Those that were kept.
    ///
    /// # Errors
    /// One cannot be read now.
    pub fn open(records: Records, versions: &Versions) -> anyhow::Result<Self> {
        let feed = Arc::new(Feed::new(versions.clone()));
        for record in records.services()? {
            feed.put(record.key(), record);
        }
        Ok(Self {
            feed,
            records,
            entering: Mutex::default(),
        })
    }

    /// The feed.
    pub fn feed(&self) -> &Arc<Feed<ServiceRecord>> {
        &self.feed
    }

    /// Keeps one, with a virtual address where it is to have one: there must be one of that name already if `replace`, none otherwise.
    pub fn put(
        &self,
        mut record: ServiceRecord,
        replace: bool,
        subnets: Option<&Subnets>,
        now: Timestamp,
    ) -> ApiResult<()> {
        let _one_at_a_time = self.entering.lock().unwrap_or_else(PoisonError::into_inner);
        let key = record.key();
        let before = self.feed.get(&key);
        match (&before, replace) {
            (Some(_), false) => return Err(ApiError::already_exists("services", &key.name)),
            (None, true) => return Err(ApiError::not_found("services", &key.name)),
            _ => {}
        }
        let service = &mut record.service;
        match &before {
            Some(before) => {
                let old = &before.value.service;
                service.uid.clone_from(&old.uid);
                service.creation_timestamp = old.creation_timestamp;
                if service.address == ServiceAddress::Any {
                    service.address = old.address;
                }
            }
            None => {
                service.uid = uuid::Uuid::new_v4().to_string();
                service.creation_timestamp = Some(now);
            }
        }
        service.address = self.address(&key, service.address, subnets)?;
        self.node_ports(&key, service)?;
        self.records
            .keep_service(&record)
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        self.feed.put(key, record);
        Ok(())
    }

    /// The address that it asks for, or a free one. The texts are an API server's.
    fn address(
        &self,
        key: &Key,
        asked: ServiceAddress,
        subnets: Option<&Subnets>,
    ) -> ApiResult<ServiceAddress> {
        let refused = |ip: &dyn std::fmt::Display, cause: String| {
            let message = format!(
                "Service \"{}\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: {cause}",
                key.name
            );
            ApiError::new(Reason::Invalid, message)
        };
        let Some(subnets) = subnets else {
            // Without a network nothing can be behind a virtual address; the name is kept all the same.
            return Ok(asked);
        };
        let taken = self.taken(key);
        match asked {
            ServiceAddress::Headless => Ok(asked),
            ServiceAddress::Fixed(IpAddr::V4(ip)) if subnets.services.contains(&ip) => {
                if taken.contains(&ip) {
                    let cause = "provided IP is already allocated".to_owned();
                    return Err(refused(&ip, cause));
                }
                Ok(asked)
            }
            ServiceAddress::Fixed(ip) => Err(refused(
                &ip,
                format!(
                    "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
                    subnets.services
                ),
            )),
            ServiceAddress::Any => {
                let all = (0..).map_while(|n| subnets.service(n));
                let free = all.into_iter().find(|ip| !taken.contains(ip));
                let Some(ip) = free else {
                    return Err(ApiError::internal(format!(
                        "failed to allocate a serviceIP: range is full ({})",
                        subnets.services
                    )));
                };
                Ok(ServiceAddress::Fixed(ip.into()))
            }
        }
    }

    /// Gives each port of a Service that is reached from outside its port of the node: the one that it asks for, or a free one.
    fn node_ports(&self, key: &Key, service: &mut Service) -> ApiResult<()> {
        if service.kind != ServiceKind::NodePort {
            return Ok(());
        }
        let others = self.feed.list().0.into_iter().filter(|(k, _)| k != key);
        let mut taken: BTreeSet<(Protocol, u16)> = others
            .flat_map(|(_, record)| record.value.service.ports.clone())
            .filter_map(|port| Some((port.protocol, port.node_port?)))
            .collect();
        for (index, port) in service.ports.iter().enumerate() {
            let Some(number) = port.node_port else {
                continue;
            };
            if !taken.insert((port.protocol, number)) {
                let text = format!(
                    "Service \"{}\" is invalid: spec.ports[{index}].nodePort: Invalid value: {number}: provided port is already allocated",
                    key.name
                );
                return Err(ApiError::new(Reason::Invalid, text));
            }
        }
        for port in service.ports.iter_mut().filter(|p| p.node_port.is_none()) {
            let is_free = |n: &u16| !taken.contains(&(port.protocol, *n));
            let Some(number) = NODE_PORTS.clone().find(is_free) else {
                return Err(ApiError::internal(format!(
                    "failed to allocate a nodePort: range is full ({}-{})",
                    NODE_PORTS.start(),
                    NODE_PORTS.end()
                )));
            };
            taken.insert((port.protocol, number));
            port.node_port = Some(number);
        }
        Ok(())
    }

    /// Addresses of the other Services.
    fn taken(&self, but: &Key) -> BTreeSet<Ipv4Addr> {
        let others = self.feed.list().0.into_iter().filter(|(key, _)| key != but);
        others
            .filter_map(|(_, record)| match record.value.service.address.ip() {
                Some(IpAddr::V4(ip)) => Some(ip),
                _ => None,
            })
            .collect()
    }

    /// Forgets one.
    pub fn delete(&self, key: &Key) -> ApiResult<()> {
        let Some(record) = self.feed.get(key) else {
            return Err(ApiError::not_found("services", &key.name));
        };
        self.records
            .forget_service(&record.value)
            .map_err(|e| ApiError::internal(format!("{e:#}")))?;
        self.feed.remove(key);
        Ok(())
    }

    /// What the environment of containers says of them.
    pub fn environment(&self) -> Vec<service_env::Service> {
        let all = self.feed.list().0.into_iter();
        let with_address = all.filter_map(|(_, record)| {
            let service = &record.value.service;
            let ports = service.ports.iter().map(|port| service_env::ServicePort {
                name: port.name.clone(),
                protocol: port.protocol.as_str().to_owned(),
                port: i32::from(port.port),
            });
            Some(service_env::Service {
                name: service.name.to_string(),
                namespace: service.namespace.to_string(),
                cluster_ip: service.address.ip()?.to_string(),
                ports: ports.collect(),
            })
        });
        with_address.collect()
    }
}

/// Keeps the network as pods and Services ask for, for ever.
pub async fn keep(
    network: NodeNetwork,
    facts: Facts,
    pods: Arc<Feed<PodRecord>>,
    services: Arc<Feed<ServiceRecord>>,
) {
    let mut last: Option<Wanted> = None;
    loop {
        let (all_pods, pods_at) = pods.list();
        let (all_services, services_at) = services.list();
        let now = wanted(
            &facts,
            all_pods.iter().map(|(_, p)| &*p.value.pod),
            all_services.iter().map(|(_, s)| &s.value.service),
        );
        if last.as_ref() != Some(&now) {
            network.publish(now.clone()).await;
            last = Some(now);
        }
        let (mut pods, mut services) = (pods.watch(pods_at), services.watch(services_at));
        // Which changes they were, and whether some are forgotten already, is no matter: the lists are read again.
        tokio::select! {
            _ = pods.next() => {}
            _ = services.next() => {}
        }
    }
}
