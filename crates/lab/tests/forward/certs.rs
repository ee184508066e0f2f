//! Certificates as OpenSSL judges them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use goferry_lab::certs::{Authority, CertError, ClientAuth, LeafSpec, TlsVersions};

use crate::origin::{NAME, Origin};
use crate::{curl, text};

/// Connects to `server`, trusting `ca`, and gives OpenSSL's verify code: 0 ok, 9 not yet valid, 10 expired,
/// 18 self-signed, 20 or 21 issuer not found, 26 not for servers, 62 another name.
fn verify(server: SocketAddr, ca: &Path, more: &[&str]) -> (u32, String) {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &server.to_string(), "-servername", NAME, "-verify_hostname", NAME])
        .args(["-CAfile", text(ca), "-no-CApath", "-no-CAstore"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = text.split("Verify return code: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    (code.unwrap_or_else(|| panic!("no verify code in {text}")), text)
}

#[test]
fn each_preset_is_wrong_in_one_respect() {
    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    authority.write_pem(&ca).unwrap();
    let hosts = &[NAME, "127.0.0.1"];
    let cases = [
        ("good", LeafSpec::good(hosts), 0),
        ("intermediate", LeafSpec::with_intermediate(hosts), 0),
        ("missing intermediate", LeafSpec::missing_intermediate(hosts), 21),
        ("self-signed", LeafSpec::self_signed(hosts), 18),
        ("expired", LeafSpec::expired(hosts), 10),
        ("not yet valid", LeafSpec::not_yet_valid(hosts), 9),
        ("wrong name", LeafSpec::wrong_name(), 62),
    ];
    for (what, spec, expected) in cases {
        let leaf = authority.leaf(&spec).unwrap();
        let origin = Origin::with(leaf.server_config(&[], TlsVersions::All, ClientAuth::None).unwrap());
        let (code, text) = verify(origin.address, &ca, &[]);
        assert_eq!(code, expected, "{what}: {text}");
    }
}

#[test]
fn another_authority_is_not_trusted() {
    let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    ours.write_pem(&ca).unwrap();
    let origin = Origin::tls(&theirs, &[]);
    assert!(matches!(verify(origin.address, &ca, &[]).0, 20 | 21));
}

#[test]
fn addresses_are_names_too() {
    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = authority.leaf(&LeafSpec::good(&["127.0.0.1"])).unwrap();
    let origin = Origin::with(files.server_config(&[], TlsVersions::All, ClientAuth::None).unwrap());
    let files = files.write_pem(folder.path()).unwrap();
    let done = curl(&["--cacert", text(&files.ca), &format!("https://{}/", origin.address)]);
    assert_eq!((done.exit, done.status), (0, 200), "{done:?}");
}

#[test]
fn versions_and_alpn_are_kept_to() {
    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.leaf(&LeafSpec::good(&[NAME])).unwrap();
    let files = leaf.write_pem(folder.path()).unwrap();
    for (versions, shown) in [(TlsVersions::Tls12, "TLSv1.2"), (TlsVersions::Tls13, "TLSv1.3")] {
        let origin = Origin::with(leaf.server_config(&["http/1.1"], versions, ClientAuth::None).unwrap());
        let (code, text) = verify(origin.address, &files.ca, &["-alpn", "h2,http/1.1"]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(shown) && text.contains("ALPN protocol: http/1.1"), "{text}");
    }
}

#[test]
fn client_certificates_are_demanded() {
    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.leaf(&LeafSpec::good(&["127.0.0.1"])).unwrap();
    let client = authority.client("a client").unwrap().write_pem(&folder.path().join("client")).unwrap();
    let url = |origin: &Origin| format!("https://{}/", origin.address);
    let ca = text(&client.ca);
    let with = ["--cert", text(&client.cert), "--key", text(&client.key)];

    let required = leaf.server_config(&["http/1.1"], TlsVersions::All, ClientAuth::Required(&authority)).unwrap();
    let origin = Origin::with(required);
    let without = curl(&["--cacert", ca, &url(&origin)]);
    assert!(matches!(without.exit, 35 | 56), "{without:?}");
    let done = curl(&[&["--cacert", ca, &url(&origin)], &with[..]].concat());
    assert_eq!((done.exit, done.status), (0, 200), "{done:?}");

    let optional = leaf.server_config(&["http/1.1"], TlsVersions::All, ClientAuth::Optional(&authority)).unwrap();
    let origin = Origin::with(optional);
    assert_eq!(curl(&["--cacert", ca, &url(&origin)]).exit, 0);
}

#[test]
fn files_are_what_other_servers_take() {
    use std::os::unix::fs::PermissionsExt;

    let authority = Authority::new("lab root").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.leaf(&LeafSpec::with_intermediate(&[NAME])).unwrap();
    let files = leaf.write_pem(&folder.path().join("made")).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&files.key), mode(&files.combined)), (0o600, 0o600));

    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let public = openssl(&["x509", "-in", text(&files.cert), "-noout", "-pubkey"]);
    assert_eq!(public, openssl(&["pkey", "-in", text(&files.key), "-pubout"]));
    assert_eq!(public, openssl(&["pkey", "-in", text(&files.combined), "-pubout"]));
    openssl(&["verify", "-CAfile", text(&files.ca), "-untrusted", text(&files.cert), text(&files.cert)]);
    assert_eq!(std::fs::read_to_string(&files.cert).unwrap().matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn names_that_are_none_are_refused() {
    let authority = Authority::new("lab root").unwrap();
    let error = authority.leaf(&LeafSpec::good(&["ö.lab"])).err().expect("refused");
    assert!(matches!(error, CertError::Make(_)), "{error}");
    let early =
        LeafSpec { not_before: std::time::UNIX_EPOCH - std::time::Duration::from_secs(1), ..LeafSpec::wrong_name() };
    assert!(matches!(authority.leaf(&early).err(), Some(CertError::Time)));
}
