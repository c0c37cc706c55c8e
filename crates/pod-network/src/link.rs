//! Links, addresses and routes, by rtnetlink. Every step may run twice.

use crate::error::{NetworkError, cause};
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use nix::errno::Errno;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteScope};
use rtnetlink::{
    Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

/// The pod's link.
pub(crate) const POD_LINK: &str = "eth0";

fn is(error: &rtnetlink::Error, errno: Errno) -> bool {
    cause(error).raw_os_error() == Some(errno as i32)
}

/// The link of that name.
pub(crate) async fn find(handle: &Handle, name: &str) -> Result<Option<LinkMessage>, NetworkError> {
    let mut found = handle.link().get().match_name(name.to_owned()).execute();
    match found.try_next().await {
        Ok(link) => Ok(link),
        Err(e) if is(&e, Errno::ENODEV) => Ok(None),
        Err(e) => Err(NetworkError::link(format!("looking for link {name}"), &e)),
    }
}

fn is_bridge(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos
            .iter()
            .any(|info| matches!(info, LinkInfo::Kind(InfoKind::Bridge))),
        _ => false,
    })
}

/// Makes the bridge, with the node's address on it, and lets the node reach Services through it. Gives its index.
pub(crate) async fn ensure_bridge(
    handle: &Handle,
    name: &str,
    gateway: Ipv4Addr,
    pods: Ipv4Net,
    services: Ipv4Net,
) -> Result<u32, NetworkError> {
    let index = match find(handle, name).await? {
        Some(link) if is_bridge(&link) => link.header.index,
        Some(_) => {
            return Err(NetworkError::NoBridge {
                name: name.to_owned(),
            });
        }
        None => {
            let made = handle.link().add(LinkBridge::new(name).build()).execute();
            made.await
                .map_err(|e| NetworkError::link(format!("making the bridge {name}"), &e))?;
            index_of(handle, name).await?
        }
    };
    handle
        .address()
        .add(index, gateway.into(), pods.prefix_len())
        .replace()
        .execute()
        .await
        .map_err(|e| NetworkError::link(format!("giving {name} the address {gateway}"), &e))?;
    // One of its own: else it has that of one of its ports, which changes as pods come and go, and the others send to the old one.
    let own = LinkUnspec::new_with_index(index)
        .address(hardware_address(gateway))
        .up()
        .build();
    let set = handle.link().set(own).execute().await;
    set.map_err(|e| NetworkError::link(format!("bringing {name} up"), &e))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(services.network(), services.prefix_len())
        .output_interface(index)
        .scope(RouteScope::Link)
        .pref_source(gateway)
        .build();
    let added = handle.route().add(route).replace().execute().await;
    added.map_err(|e| NetworkError::link(format!("the route to Services ({services})"), &e))?;
    Ok(index)
}

/// An address of the range that everybody may choose from.
fn hardware_address(ip: Ipv4Addr) -> Vec<u8> {
    [&[0x0a, 0x58][..], &ip.octets()].concat()
}

async fn index_of(handle: &Handle, name: &str) -> Result<u32, NetworkError> {
    match find(handle, name).await? {
        Some(link) => Ok(link.header.index),
        None => Err(NetworkError::Link {
            step: format!("looking for link {name}"),
            cause: Errno::ENODEV.into(),
        }),
    }
}

async fn up(handle: &Handle, index: u32, name: &str) -> Result<(), NetworkError> {
    let message = LinkUnspec::new_with_index(index).up().build();
    let set = handle.link().set(message).execute().await;
    set.map_err(|e| NetworkError::link(format!("bringing {name} up"), &e))
}

/// Removes a link. One that is not there is removed.
pub(crate) async fn remove(handle: &Handle, name: &str) -> Result<(), NetworkError> {
    let Some(link) = find(handle, name).await? else {
        return Ok(());
    };
    match handle.link().del(link.header.index).execute().await {
        Err(e) if !is(&e, Errno::ENODEV) => {
            Err(NetworkError::link(format!("removing link {name}"), &e))
        }
        _ => Ok(()),
    }
}

/// Makes the pair of links between the bridge and a pod's namespace, unless it is whole already.
pub(crate) async fn ensure_pair(
    node: &Handle,
    pod: &Handle,
    name: &str,
    bridge: u32,
    namespace: RawFd,
) -> Result<(), NetworkError> {
    let (ours, theirs) = (find(node, name).await?, find(pod, POD_LINK).await?);
    if ours.is_none() || theirs.is_none() {
        // One end without the other is what a broken attempt left, or a namespace that is another one's now.
        remove(node, name).await?;
        remove(pod, POD_LINK).await?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(POD_LINK)
            .setns_by_fd(namespace)
            .build();
        let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .name(name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        let made = node.link().add(pair).execute().await;
        made.map_err(|e| NetworkError::link(format!("making the pair {name} and eth0"), &e))?;
    }
    let index = index_of(node, name).await?;
    let port = LinkUnspec::new_with_index(index)
        .controller(bridge)
        .up()
        .build();
    let set = node.link().set(port).execute().await;
    set.map_err(|e| NetworkError::link(format!("joining {name} to the bridge"), &e))?;
    // With br_netfilter, what is translated to another pod's address, or to its sender's, is bridged and not routed.
    let hairpin = LinkBridgePort::new(index).hairpin(true).build();
    let set = node.link().set_port(hairpin).execute().await;
    set.map_err(|e| NetworkError::link(format!("letting {name} reach itself by a Service"), &e))
}

/// Gives a pod's link its address and its routes. In a conversation about the pod's namespace.
pub(crate) async fn ensure_address(
    pod: &Handle,
    ip: Ipv4Addr,
    gateway: Ipv4Addr,
) -> Result<(), NetworkError> {
    let index = index_of(pod, POD_LINK).await?;
    let given = pod
        .address()
        .add(index, ip.into(), 32)
        .replace()
        .execute()
        .await;
    given.map_err(|e| NetworkError::link(format!("giving the pod the address {ip}"), &e))?;
    up(pod, index, POD_LINK).await?;
    let to_gateway = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(gateway, 32)
        .output_interface(index)
        .scope(RouteScope::Link)
        .build();
    let default = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(gateway)
        .output_interface(index)
        .build();
    for route in [to_gateway, default] {
        let added = pod.route().add(route).replace().execute().await;
        added.map_err(|e| NetworkError::link(format!("the pod's route by {gateway}"), &e))?;
    }
    Ok(())
}

/// Where the node's packets go: destinations with a prefix, but those by the link `but`; and links of default routes.
pub(crate) async fn routes(
    handle: &Handle,
    but: Option<&str>,
) -> Result<(Vec<Ipv4Net>, Vec<String>), NetworkError> {
    let but = match but {
        Some(name) => find(handle, name).await?.map(|l| l.header.index),
        None => None,
    };
    let ask = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = handle.route().get(ask).execute();
    let (mut nets, mut ways_out) = (Vec::new(), Vec::new());
    let failed = |e: &rtnetlink::Error| NetworkError::link("reading the node's routes", e);
    while let Some(route) = routes.try_next().await.map_err(|e| failed(&e))? {
        if route.header.table != RouteHeader::RT_TABLE_MAIN {
            continue;
        }
        let length = route.header.destination_prefix_length;
        let mut to = None;
        let mut by = None;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = Some(*ip),
                RouteAttribute::Oif(index) => by = Some(*index),
                _ => {}
            }
        }
        match (to, by) {
            (_, by) if by.is_some() && by == but => {}
            (Some(ip), _) => nets.extend(Ipv4Net::new(ip, length)),
            (None, Some(index)) if length == 0 => ways_out.extend(name_of(handle, index).await?),
            _ => {}
        }
    }
    Ok((nets, ways_out))
}

async fn name_of(handle: &Handle, index: u32) -> Result<Option<String>, NetworkError> {
    let mut found = handle.link().get().match_index(index).execute();
    let link = found.try_next().await;
    let link = link.map_err(|e| NetworkError::link(format!("looking for link {index}"), &e))?;
    let name = link.and_then(|l| {
        l.attributes.into_iter().find_map(|a| match a {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        })
    });
    Ok(name)
}
