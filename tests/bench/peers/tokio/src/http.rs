/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! GET requests by reqwest, with the settings that the bridge of nart has.

use std::hint::black_box;
use std::time::Duration;

use reqwest::{Client, StatusCode};

use crate::bridge::runtime;
use crate::http_server;
use crate::measure::timed;

const TASKS: u64 = 16;

/// n requests by tasks that make one after the other.
pub fn gets(n: u64) -> f64 {
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().expect("the only one");
    let url = format!("http://{}/", http_server::start());
    let client = Client::builder()
        .http1_only()
        .no_proxy()
        .pool_max_idle_per_host(16)
        .pool_idle_timeout(Duration::from_secs(30))
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client");
    let rt = runtime();
    rt.block_on(timed(n, async |n| {
        let task = || rt.spawn(get(client.clone(), url.clone(), n / TASKS));
        let tasks: Vec<_> = (0..TASKS).map(|_| task()).collect();
        for task in tasks {
            task.await.expect("an end");
        }
    }))
}

async fn get(client: Client, url: String, n: u64) {
    for _ in 0..n {
        let response = client.get(&url).send().await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.bytes().await.expect("a body");
        assert_eq!(body.len(), 64);
        black_box(body);
    }
}
