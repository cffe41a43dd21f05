//! Which computers may be asked. Addresses that a certificate names never lead to this computer or into a private network,
//! unless its owner said so: looked at after the name was resolved, so that no name can hide where it leads.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Which computers may be asked.
#[derive(Clone, Debug)]
pub(super) enum Targets {
    /// Every one: the address was configured.
    Any,
    /// Public ones, and these hosts.
    Public {
        /// Hosts, as they stand in addresses.
        and: Vec<String>,
    },
}

impl Resolver for Targets {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let allowed = match self {
            Self::Any => true,
            Self::Public { and } => and.iter().any(|host| uri.host() == Some(host)),
        };
        if allowed || found.iter().all(|address| is_public(address.ip())) {
            return Ok(found);
        }
        Err(ureq::Error::HostNotFound)
    }
}

/// Whether an address is one of the whole network, and of one computer.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_special = first == 0
        || first >= 240
        || first == 192 && second == 0
        || first == 198 && (18..20).contains(&second);
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_special)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // 2000::/3 without documentation, 6to4 and Teredo, which may lead into private networks.
    let [first, second, ..] = address.segments();
    first & 0xE000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && (second == 0 || second == 0x0DB8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let public = ["8.8.8.8", "193.99.144.80", "2a02:2e0:3fe:1001::1", "::ffff:8.8.8.8"];
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
        ];
        for (addresses, expected) in [(&public[..], true), (&private[..], false)] {
            for address in addresses {
                assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}
