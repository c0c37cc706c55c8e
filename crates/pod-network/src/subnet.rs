//! Which addresses pods and Services get. Pure.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The two subnets of a node: one for its pods, one for the virtual addresses of Services, which no link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnets {
    /// Addresses of pods; the first one is the node's own on the bridge, the pods' gateway and name server.
    pub pods: Ipv4Net,
    /// Virtual addresses of Services.
    pub services: Ipv4Net,
}

/// Why two subnets do not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what the fields are")]
pub enum SubnetError {
    #[error("the subnet {0} is too small: a prefix of at most 29 is needed")]
    Small(Ipv4Net),
    #[error("the subnets of pods ({0}) and of Services ({1}) overlap")]
    Overlap(Ipv4Net, Ipv4Net),
    #[error(
        "no free subnet for pods: every one of 10.88.0.0/24 to 10.88.255.0/24 is routed elsewhere already; give one (--subnet, --service-subnet)"
    )]
    NoneFree,
}

/// Longest prefix that still has room for a gateway and some pods.
const LONGEST: u8 = 29;

impl Subnets {
    /// Checks two subnets.
    ///
    /// # Errors
    /// When one is too small, or they overlap.
    pub fn new(pods: Ipv4Net, services: Ipv4Net) -> Result<Self, SubnetError> {
        let (pods, services) = (pods.trunc(), services.trunc());
        for net in [pods, services] {
            if net.prefix_len() > LONGEST {
                return Err(SubnetError::Small(net));
            }
        }
        if overlap(&pods, &services) {
            return Err(SubnetError::Overlap(pods, services));
        }
        Ok(Self { pods, services })
    }

    /// The first pair of 10.88.N.0/24 and 10.89.N.0/24 that nothing of `taken` overlaps. A subnet that the user gives stays.
    ///
    /// # Errors
    /// When there is none, or what the user gave does not serve.
    pub fn choose(
        taken: &[Ipv4Net],
        pods: Option<Ipv4Net>,
        services: Option<Ipv4Net>,
    ) -> Result<Self, SubnetError> {
        let pair = |n: u8| {
            let net = |second: u8| Ipv4Net::new_assert(Ipv4Addr::new(10, second, n, 0), 24);
            (pods.unwrap_or(net(88)), services.unwrap_or(net(89)))
        };
        let free = |net: &Ipv4Net| !taken.iter().any(|t| overlap(t, net));
        for n in 0..=u8::MAX {
            let (for_pods, for_services) = pair(n);
            let is_free =
                (pods.is_some() || free(&for_pods)) && (services.is_some() || free(&for_services));
            if is_free && !overlap(&for_pods, &for_services) {
                return Self::new(for_pods, for_services);
            }
        }
        match (pods, services) {
            (Some(p), Some(s)) => Self::new(p, s),
            _ => Err(SubnetError::NoneFree),
        }
    }

    /// The node's address on the bridge: the pods' gateway and name server.
    pub fn gateway(&self) -> Ipv4Addr {
        nth(&self.pods, 1)
    }

    /// How many pods there is room for.
    pub fn room(&self) -> u32 {
        hosts(&self.pods).saturating_sub(1)
    }

    /// Address number `n` for pods, from 0; `None` past the last.
    pub fn pod(&self, n: u32) -> Option<Ipv4Addr> {
        (n < self.room()).then(|| nth(&self.pods, n.saturating_add(2)))
    }

    /// Virtual address number `n` for Services, from 0; `None` past the last.
    pub fn service(&self, n: u32) -> Option<Ipv4Addr> {
        (n < hosts(&self.services)).then(|| nth(&self.services, n.saturating_add(1)))
    }
}

/// Addresses that are neither the network's nor the broadcast's.
fn hosts(net: &Ipv4Net) -> u32 {
    let bits = 32_u32.saturating_sub(u32::from(net.prefix_len()));
    1_u32
        .checked_shl(bits)
        .unwrap_or(u32::MAX)
        .saturating_sub(2)
}

fn nth(net: &Ipv4Net, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()).saturating_add(n))
}

fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_pair_of_subnets_that_is_not_routed_elsewhere_is_taken() {
        let none = Subnets::choose(&[], None, None).unwrap();
        assert_eq!(none.pods, net("10.88.0.0/24"));
        assert_eq!(none.services, net("10.89.0.0/24"));
        let taken = [net("10.88.0.0/23"), net("10.89.2.0/24")];
        let next = Subnets::choose(&taken, None, None).unwrap();
        assert_eq!(next.pods, net("10.88.3.0/24"));
        let all = [net("10.0.0.0/8")];
        assert_eq!(
            Subnets::choose(&all, None, None),
            Err(SubnetError::NoneFree)
        );
    }

    #[test]
    fn what_the_user_gives_stays() {
        let own = Some(net("192.168.7.0/24"));
        let taken = [net("192.168.0.0/16"), net("10.89.0.0/24")];
        let chosen = Subnets::choose(&taken, own, None).unwrap();
        assert_eq!(Some(chosen.pods), own);
        assert_eq!(chosen.services, net("10.89.1.0/24"));
        let both = Subnets::choose(&[], own, own);
        assert!(matches!(both, Err(SubnetError::Overlap(..))), "{both:?}");
        let small = Subnets::choose(&[], Some(net("10.1.1.0/30")), None);
        assert!(matches!(small, Err(SubnetError::Small(_))), "{small:?}");
    }

    #[test]
    fn the_first_address_is_the_gateways_and_the_last_is_never_given() {
        let subnets = Subnets::new(net("10.1.0.0/29"), net("10.2.0.0/29")).unwrap();
        assert_eq!(subnets.gateway(), Ipv4Addr::new(10, 1, 0, 1));
        let pods: Vec<_> = (0..9).map_while(|n| subnets.pod(n)).collect();
        assert_eq!(pods.first(), Some(&Ipv4Addr::new(10, 1, 0, 2)));
        assert_eq!(pods.last(), Some(&Ipv4Addr::new(10, 1, 0, 6)));
        assert_eq!(subnets.service(0), Some(Ipv4Addr::new(10, 2, 0, 1)));
        assert_eq!(subnets.service(5), Some(Ipv4Addr::new(10, 2, 0, 6)));
        assert_eq!(subnets.service(6), None);
    }
}
