// SPDX-License-Identifier: MIT OR Apache-2.0
//! How reqwest looks up names: by those of the bridge.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Resolve, Resolving};

use super::config::Hosts;
use crate::names::{Failed, Names};

/// [`Names`] as reqwest's resolver, and addresses that are known without a look-up.
pub struct Resolver {
    names: Arc<Names>,
    hosts: Hosts,
}

impl Resolver {
    pub fn new(names: Arc<Names>, hosts: Hosts) -> Resolver {
        Resolver { names, hosts }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        if let Some(addresses) = self.hosts.get(name.as_str()) {
            let known: Vec<_> = addresses.iter().map(|&ip| SocketAddr::new(ip, 0)).collect();
            return Box::pin(async move { Ok(Box::new(known.into_iter()) as Addrs) });
        }
        let reply = self.names.request(name.as_str());
        Box::pin(async move {
            match reply.await {
                Ok(Ok(addresses)) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Ok(Err(failed)) => Err(failed.into()),
                Err(_) => Err(Failed::shut_down().into()),
            }
        })
    }
}
