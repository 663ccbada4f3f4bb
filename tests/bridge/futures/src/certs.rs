// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates for the tests of TLS.

use nart_tokio::Res;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::tls::{answer, copy, Fails};

/// `struct test_cert`.
#[repr(C)]
pub struct TestCert {
    cert: [u8; 2048],
    key: [u8; 2048],
}

/// `struct test_certs`.
#[repr(C)]
pub struct TestCerts {
    ca: TestCert,
    other_ca: TestCert,
    server: TestCert,
    second: TestCert,
    expired: TestCert,
    client: TestCert,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(to: &mut TestCert, name: &str) -> Fails<Issuer> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let made = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    copy(&mut to.cert, &made.pem());
    copy(&mut to.key, &made.key().serialize_pem());
    Ok(made)
}

fn issue(to: &mut TestCert, by: &Issuer, names: &[&str], until: i32) -> Fails<()> {
    let subject = names[0];
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate()?;
    copy(&mut to.cert, &params.signed_by(&key, by)?.pem());
    copy(&mut to.key, &key.serialize_pem());
    Ok(())
}

#[no_mangle]
pub unsafe extern "C" fn test_tls_certs(certs: *mut TestCerts) -> Res {
    // SAFETY: the test's promise.
    let certs = unsafe { &mut *certs };
    let mut make = || -> Fails<()> {
        let ca = authority(&mut certs.ca, "test")?;
        authority(&mut certs.other_ca, "another")?;
        issue(&mut certs.server, &ca, &["localhost", "127.0.0.1"], 4000)?;
        let names = ["second.test", "*.second.test"];
        issue(&mut certs.second, &ca, &names, 4000)?;
        issue(&mut certs.expired, &ca, &["localhost"], 2000)?;
        issue(&mut certs.client, &ca, &["client"], 4000)
    };
    answer(make())
}
