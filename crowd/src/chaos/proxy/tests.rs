use std::io::ErrorKind;

use tokio::time::timeout;

use super::*;

/// How long something may take, and how long one looks on to see that nothing happens.
const GUARD: Duration = Duration::from_secs(30);
const A_WHILE: Duration = Duration::from_millis(200);

/// A proxy, and both ends of a connection through it.
async fn through(line: Line) -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::before(listener.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = timeout(GUARD, listener.accept()).await.unwrap().unwrap();
    proxy.set(line);
    (proxy, client, server)
}

async fn hear(stream: &mut TcpStream, word: &str) {
    let mut heard = vec![0; word.len()];
    timeout(GUARD, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), word);
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(A_WHILE, stream.read(&mut [0])).await.is_err()
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = timeout(GUARD, stream.read(&mut [0])).await.unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn an_open_or_slow_line_passes_both_ways_all_that_it_is_given() {
    for line in
        [Line::Open, Line::Delayed(Duration::from_millis(5)), Line::Slow(Duration::from_millis(1))]
    {
        let (_proxy, mut client, mut server) = through(line).await;
        let long = "dibs ".repeat(200);
        client.write_all(long.as_bytes()).await.unwrap();
        hear(&mut server, &long).await;
        server.write_all(long.as_bytes()).await.unwrap();
        hear(&mut client, &long).await;
    }
}

#[tokio::test]
async fn a_cut_line_resets_what_is_connected_and_whoever_comes() {
    let (proxy, mut client, mut server) = through(Line::Cut).await;
    assert!(is_reset(&mut client).await && is_reset(&mut server).await);
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(is_reset(&mut late).await);
}

#[tokio::test]
async fn a_one_way_cut_holds_one_direction_until_it_is_healed() {
    let (proxy, mut client, mut server) = through(Line::OneWay(Direction::Down)).await;
    client.write_all(b"claim").await.unwrap();
    hear(&mut server, "claim").await;
    server.write_all(b"ticket").await.unwrap();
    assert!(is_silent(&mut client).await);
    proxy.set(Line::Open);
    hear(&mut client, "ticket").await;
}

#[tokio::test]
async fn half_open_connections_are_gone_for_one_side_only_and_reset_when_it_is_healed() {
    let (proxy, mut client, mut server) = through(Line::HalfOpen).await;
    let gone = timeout(GUARD, server.read(&mut [0])).await.unwrap();
    assert!(gone.is_ok_and(|read| read == 0));
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    late.write_all(b"claim").await.unwrap();
    assert!(is_silent(&mut client).await && is_silent(&mut late).await);
    proxy.set(Line::Open);
    assert!(is_reset(&mut client).await && is_reset(&mut late).await);
}

#[tokio::test]
async fn what_a_slow_reader_has_not_taken_stays_with_the_server() {
    const ROOM: usize = 1_024;
    let (_line, slow) = watch::channel(Line::Slow(GUARD * 100));
    let (mut server, from_server) = tokio::io::duplex(ROOM);
    let (to_client, _client) = tokio::io::duplex(ROOM);
    let touched = Counting::default();
    let sending = server.write_all(&[0; ROOM + 1]);
    tokio::select! {
        () = pass(from_server, to_client, slow, Direction::Down, &touched) => panic!("it goes on"),
        sent = timeout(A_WHILE, sending) => assert!(sent.is_err(), "more was taken than was drunk"),
    }
}

#[tokio::test]
async fn a_line_counts_what_it_touches_and_an_open_one_nothing() {
    let held = Line::OneWay(Direction::Down);
    let late = Line::Delayed(Duration::from_millis(5));
    let sipped = Line::Slow(Duration::from_millis(1));
    for (line, bytes) in [(Line::Open, 0), (held, 6), (late, 11), (sipped, 6)] {
        let (proxy, mut client, mut server) = through(line).await;
        client.write_all(b"claim").await.unwrap();
        hear(&mut server, "claim").await;
        server.write_all(b"ticket").await.unwrap();
        if line == held {
            assert!(is_silent(&mut client).await);
            proxy.set(Line::Open);
        }
        hear(&mut client, "ticket").await;
        assert_eq!(proxy.touched(), Touched { connections: 0, bytes });
        assert_eq!(proxy.touched(), Touched::default());
    }
    for line in [Line::Cut, Line::HalfOpen] {
        let (proxy, _client, mut server) = through(line).await;
        timeout(GUARD, server.read(&mut [0])).await.unwrap().unwrap_or_default();
        assert_eq!(proxy.touched(), Touched { connections: 1, bytes: 0 });
    }
}
