//! The real go command, oldest and newest toolchain, driven here and across an emulated link (which needs root).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use goferry_lab::go_client::{GoClient, Http2Debug, Outcome};
use goferry_lab::link::Link;
use tempfile::TempDir;

const VERSIONS: [&str; 2] = ["go1.21.13", "go1.27.3"];
const MODULE: &str = "lab.example/only";
const MS: Duration = Duration::from_millis(1);

fn client(version: &str, project: &Path) -> GoClient {
    GoClient::new(version.parse().unwrap()).dir(project)
}

#[test]
fn downloads_from_a_folder() {
    let (proxy, project) = (proxy_folder(), project());
    for version in VERSIONS {
        let run = client(version, project.path())
            .goproxy(format!("file://{}", proxy.path().display()))
            .godebug("http2debug=1")
            .deadline(Duration::from_secs(60))
            .run()
            .unwrap();
        assert_eq!(run.outcome, Outcome::Succeeded, "{version}: {}", run.stderr);
        assert_eq!(run.http2, Some(Http2Debug::default()), "a folder needs no connection");
        let cache = run.gomodcache();
        assert_eq!(fs::read_to_string(cache.join("lab.example/only@v1.0.0/only.go")).unwrap(), "package only\n");
        drop(run);
        assert!(!cache.exists(), "{} is left", cache.display());
    }
}

#[test]
fn the_version_is_the_one_that_was_asked_for() {
    for version in VERSIONS {
        let run = GoClient::new(version.parse().unwrap()).args(["version"]).run().unwrap();
        assert!(run.stdout.starts_with(&format!("go version {version} ")), "{}", run.stdout);
        assert_eq!(run.http2, None);
    }
}

#[test]
fn without_a_proxy_it_fails_and_says_why() {
    let project = project();
    for version in VERSIONS {
        let run = client(version, project.path()).run().unwrap();
        assert_eq!(run.outcome, Outcome::Failed { code: Some(1) });
        assert!(run.stderr.contains("GOPROXY=off"), "{}", run.stderr);
    }
}

#[test]
fn a_silent_server_is_a_hang() {
    let project = project();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    for version in VERSIONS {
        let start = Instant::now();
        let run = client(version, project.path()).goproxy(&proxy).deadline(1500 * MS).run().unwrap();
        assert!(matches!(run.outcome, Outcome::Hung { after } if after >= 1500 * MS), "{:?}", run.outcome);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn each_request_across_a_link_costs_a_round_trip() {
    let link = Link::builder()
        .rtt(100 * MS)
        .build()
        .unwrap_or_else(|error| panic!("this test needs an emulated link: {error}"));
    let (proxy, project) = (proxy_folder(), project());
    let listener = link.in_server(|| TcpListener::bind((link.server_addr(), 0))).unwrap().unwrap();
    let goproxy = format!("http://{}", listener.local_addr().unwrap());
    let folder = proxy.path().to_owned();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || serve(connection, &folder));
        }
    });
    for version in VERSIONS {
        let run =
            client(version, project.path()).goproxy(&goproxy).deadline(Duration::from_secs(60)).run_on(&link).unwrap();
        assert_eq!(run.outcome, Outcome::Succeeded, "{version}: {}", run.stderr);
        // A handshake, then .mod, .info and .zip one after another.
        assert!((400 * MS..2500 * MS).contains(&run.wall), "{version}: {:?}", run.wall);
    }
    assert!(link.counters().to_client.delivered > 10);
}

/// A project that requires [`MODULE`].
fn project() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("go.mod"),
        format!("module lab.example/project\n\ngo 1.21\n\nrequire {MODULE} v1.0.0\n"),
    )
    .unwrap();
    folder
}

/// A folder that the go command can use as a proxy, with one module.
fn proxy_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let versions = folder.path().join(MODULE).join("@v");
    let gomod = format!("module {MODULE}\n\ngo 1.21\n");
    fs::create_dir_all(&versions).unwrap();
    fs::write(versions.join("list"), "v1.0.0\n").unwrap();
    fs::write(versions.join("v1.0.0.info"), r#"{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}"#).unwrap();
    fs::write(versions.join("v1.0.0.mod"), &gomod).unwrap();
    let root = format!("{MODULE}@v1.0.0");
    let zip = stored_zip(&[(format!("{root}/go.mod"), gomod.as_str()), (format!("{root}/only.go"), "package only\n")]);
    fs::write(versions.join("v1.0.0.zip"), zip).unwrap();
    folder
}

/// The least HTTP/1.1 that the go command needs: GET, keep-alive, Content-Length.
fn serve(connection: TcpStream, folder: &Path) {
    connection.set_nodelay(true).unwrap();
    let mut writer = connection.try_clone().unwrap();
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        lines.by_ref().find(String::is_empty);
        let path = request.split(' ').nth(1).unwrap().trim_start_matches('/');
        let (status, body) = match fs::read(folder.join(path)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let mut response = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend(body);
        if writer.write_all(&response).is_err() {
            return;
        }
    }
}

/// A zip file (APPNOTE.TXT 4.3) whose entries are not compressed.
fn stored_zip(entries: &[(String, &str)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in entries {
        let offset = u32::try_from(file.len()).unwrap();
        let size = u32::try_from(text.len()).unwrap();
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for number in [crc32(text.as_bytes()), size, size] {
            common.extend(number.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(file.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend(count);
    file.extend(count);
    file.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
