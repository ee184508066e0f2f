//! The emulated link, measured with real sockets. Needs root, `/dev/net/tun` and iproute2.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use goferry_lab::link::{Direction, Ipv6Mode, Link, LinkBuilder, LinkError};
use nix::sys::socket::{getsockopt, sockopt};

const MS: Duration = Duration::from_millis(1);

fn build(builder: LinkBuilder) -> Link {
    builder.build().unwrap_or_else(|error| panic!("this test needs an emulated link: {error}"))
}

fn listen(link: &Link, addr: IpAddr) -> TcpListener {
    link.in_server(|| TcpListener::bind((addr, 0))).unwrap().unwrap()
}

fn connect(link: &Link, to: SocketAddr) -> TcpStream {
    link.in_client(|| TcpStream::connect_timeout(&to, Duration::from_secs(10))).unwrap().unwrap()
}

/// Both ends of a new connection: the client's, the server's.
fn pair(link: &Link, addr: IpAddr) -> (TcpStream, TcpStream) {
    let listener = listen(link, addr);
    let client = connect(link, listener.local_addr().unwrap());
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

/// Sends `bytes` from the server to the client; the time from the first byte sent to the last one received.
fn transfer(link: &Link, bytes: usize) -> Duration {
    let (mut client, mut server) = pair(link, link.server_addr());
    let start = Instant::now();
    let sender = thread::spawn(move || server.write_all(&vec![7; bytes]).unwrap());
    let mut received = 0;
    let mut buffer = vec![0; 1 << 16];
    while received < bytes {
        match client.read(&mut buffer).unwrap() {
            0 => panic!("closed after {received} of {bytes} bytes"),
            n => received += n,
        }
    }
    let wall = start.elapsed();
    sender.join().unwrap();
    wall
}

#[test]
fn connect_takes_one_round_trip() {
    let link = build(Link::builder().rtt(50 * MS));
    for addr in [link.server_addr(), link.server_addr_of(77), link.server_addr_v6(2).unwrap().into()] {
        let listener = listen(&link, addr);
        let to = listener.local_addr().unwrap();
        let mut times: Vec<Duration> = (0..7)
            .map(|_| {
                link.in_client(|| {
                    let start = Instant::now();
                    TcpStream::connect(to).unwrap();
                    start.elapsed()
                })
                .unwrap()
            })
            .collect();
        times.sort();
        let median = times[3];
        assert!((42.5..57.5).contains(&(median.as_secs_f64() * 1e3)), "{addr}: {times:?}");
    }
}

#[test]
fn ten_megabytes_take_the_time_of_the_rate() {
    let link = build(Link::builder().rtt(20 * MS).rate_bits(100_000_000));
    let wall = transfer(&link, 10_000_000);
    let share = 10_000_000.0 * 8.0 / wall.as_secs_f64() / 100e6;
    assert!((0.60..=1.05).contains(&share), "{:.0} % of the rate: {wall:?}, {:?}", share * 100.0, link.counters());
}

#[test]
fn congestion_control_is_the_links() {
    for name in ["cubic", "bbr"] {
        let link = match Link::builder().rtt(MS).congestion(name).build() {
            Ok(link) => link,
            // Not every kernel has bbr; all have cubic.
            Err(LinkError::Congestion { .. }) if name == "bbr" => continue,
            Err(error) => panic!("this test needs an emulated link: {error}"),
        };
        assert!(link.to_string().ends_with(&format!("congestion control {name}")), "{link}");
        for addr in [link.server_addr(), link.server_addr_v6(1).unwrap().into()] {
            let (client, server) = pair(&link, addr);
            for socket in [&client, &server] {
                let used = getsockopt(socket, sockopt::TcpCongestion).unwrap();
                assert_eq!(used.to_str().unwrap().trim_end_matches('\0'), name, "{addr}");
            }
        }
    }
}

#[test]
fn unknown_congestion_control_is_named() {
    let error = Link::builder().congestion("nosuch").build().unwrap_err();
    assert!(
        matches!(&error, LinkError::Congestion { name, available } if name == "nosuch" && available.contains("cubic")),
        "{error}"
    );
}

#[test]
fn losses_happen_and_are_counted() {
    let link = build(Link::builder().rtt(4 * MS).rate_bits(100_000_000).loss(0.02).seed(3));
    transfer(&link, 3_000_000);
    let before = link.counters();
    let down = before.to_client;
    let share = down.lost as f64 / down.offered as f64;
    assert!((0.01..0.035).contains(&share), "{down:?}");
    assert!(down.delivered_bytes > 3_000_000, "{down:?}");
    assert_eq!(before.to_server.lost, 0);
    link.set_loss(0.0).unwrap();
    link.set_loss_of(Direction::ToServer, 0.1).unwrap();
    transfer(&link, 1_000_000);
    let after = link.counters();
    assert_eq!(after.to_client.lost, down.lost);
    assert!(after.to_server.lost > 0, "{after:?}");
    assert!(matches!(link.set_loss(1.1), Err(LinkError::OutOfRange { .. })));
}

#[test]
fn a_short_queue_drops() {
    let link = build(Link::builder().rtt(20 * MS).rate_bits(10_000_000).queue_bytes(6000));
    transfer(&link, 500_000);
    assert!(link.counters().to_client.queue_dropped > 0, "{:?}", link.counters());
    assert_eq!(link.queue_bytes(), 6000);
}

#[test]
fn a_black_hole_stalls_and_lets_go() {
    let link = build(Link::builder().rtt(4 * MS));
    let (mut client, mut server) = pair(&link, link.server_addr());
    let mut byte = [0];
    server.write_all(b"a").unwrap();
    client.read_exact(&mut byte).unwrap();
    link.blackhole(true);
    server.write_all(b"b").unwrap();
    client.set_read_timeout(Some(300 * MS)).unwrap();
    let error = client.read(&mut byte).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert!(link.counters().to_client.swallowed > 0);
    link.blackhole(false);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"b");
}

#[test]
fn ipv6_can_be_swallowed_while_ipv4_works() {
    let link = build(Link::builder().rtt(4 * MS).ipv6(Ipv6Mode::SwallowAll));
    let v6 = link.server_addr_v6(1).unwrap().into();
    let listener = listen(&link, v6);
    let to = listener.local_addr().unwrap();
    let error = link.in_client(|| TcpStream::connect_timeout(&to, 300 * MS)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    pair(&link, link.server_addr());

    link.set_ipv6(Ipv6Mode::SwallowData);
    let (mut client, mut server) = pair(&link, v6);
    server.write_all(b"data").unwrap();
    client.set_read_timeout(Some(300 * MS)).unwrap();
    client.read(&mut [0; 8]).unwrap_err();
    link.set_ipv6(Ipv6Mode::Pass);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 4);
}

#[test]
fn the_silent_address_never_answers() {
    let link = build(Link::builder().rtt(4 * MS));
    let to = SocketAddr::from((link.silent_addr(), 443));
    let error = link.in_client(|| TcpStream::connect_timeout(&to, 300 * MS)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn two_links_do_not_collide() {
    let near = build(Link::builder().rtt(10 * MS));
    let far = build(Link::builder().rtt(80 * MS));
    let near_listener = listen(&near, near.server_addr());
    let port = near_listener.local_addr().unwrap().port();
    // The same address and port are free on the other link.
    let far_listener = far.in_server(|| TcpListener::bind((far.server_addr(), port))).unwrap().unwrap();
    let time = |link: &Link, to: SocketAddr| {
        let start = Instant::now();
        connect(link, to);
        start.elapsed()
    };
    let to = far_listener.local_addr().unwrap();
    let (first, second) = (time(&near, to), time(&far, to));
    assert!(first < 40 * MS && second > 75 * MS, "{first:?} {second:?}");
}

#[test]
fn the_client_reads_its_own_etc_and_keeps_its_folder() {
    let link = build(
        Link::builder().rtt(MS).client_resolv_conf("nameserver 10.66.2.53\n").client_hosts("10.66.2.9 proxy.example\n"),
    );
    let output = link.client_output(Command::new("cat").args(["/etc/resolv.conf", "/etc/hosts"])).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nameserver 10.66.2.53\n10.66.2.9 proxy.example\n");
    let inside =
        link.in_client(|| (fs::read_to_string("/etc/resolv.conf").unwrap(), std::env::current_dir().unwrap())).unwrap();
    assert_eq!(inside, ("nameserver 10.66.2.53\n".to_owned(), std::env::current_dir().unwrap()));
    let output = link.server_output(Command::new("cat").arg("/etc/resolv.conf")).unwrap();
    assert_ne!(String::from_utf8_lossy(&output.stdout), "nameserver 10.66.2.53\n");
    assert!(!fs::read_to_string("/etc/hosts").unwrap().contains("proxy.example"));
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains("goferry-link-"));
}

#[test]
fn nothing_remains_after_drop() {
    let link = build(Link::builder().rtt(MS).client_hosts("127.0.0.1 localhost\n"));
    let namespace = link.in_client(|| fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap();
    assert_ne!(namespace, fs::read_link("/proc/thread-self/ns/net").unwrap());
    let mut child = link.client_spawn(Command::new("sleep").arg("60").stdout(Stdio::null())).unwrap();
    let devices = format!("/proc/{}/net/dev", child.id());
    assert!(fs::read_to_string(&devices).unwrap().contains("goferry0:"));
    drop(link);
    let left = fs::read_to_string(&devices).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left.contains("lo:") && !left.contains("goferry0:"), "{left}");
    assert!(!Path::new("/sys/class/net/goferry0").exists());
    let holders: Vec<_> = open_files().into_iter().filter(|file| *file == namespace).collect();
    assert!(holders.is_empty(), "{namespace:?} is still held by this process");
}

/// What the descriptors of this process point to.
fn open_files() -> Vec<std::path::PathBuf> {
    fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}
