//! The page in the browser, asked as a browser would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use dask_rs::diagnostics::Dashboard;
use serde_json::Value;

use super::named;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn ask(address: SocketAddr, request: &str, host: &str, header: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{header}\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn get(dashboard: &Dashboard, path: &str) -> Answer {
    let address = dashboard.address();
    ask(address, &format!("GET {path}"), &address.to_string(), "")
}

#[test]
fn the_page_is_served_and_loads_nothing_from_elsewhere() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    assert_eq!(dashboard.url(), format!("http://{}/", dashboard.address()));
    let page = get(&dashboard, "/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"));
    assert!(page.head.contains("content-security-policy: default-src 'none'"));
    assert!(page.head.contains("x-content-type-options: nosniff"));
    assert!(page.body.contains("data-mode=\"live\"") && page.body.contains("</script>"));
    assert!(!page.body.contains("src=\"http") && !page.body.contains("{{"));
    assert_eq!(get(&dashboard, "/other").status, 404);
}

#[test]
fn data_come_in_parts() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    let text = "the sea </script>";
    named(text).sum(..).compute().unwrap();
    let first = get(&dashboard, "/data");
    assert_eq!(first.status, 200);
    let first: Value = serde_json::from_str(&first.body).unwrap();
    let n_done = |told: &Value| -> u64 {
        let ops = told["part"]["ops"].as_array().unwrap();
        let read = ops.iter().find(|op| op[0].as_str().unwrap().contains(text)).unwrap();
        read[2].as_u64().unwrap()
    };
    let n = n_done(&first);
    let n_bars = |kind: &str| first["part"][kind].as_array().unwrap().len();
    assert!(n > 0 && n_bars("bars") + n_bars("growing") > 0);
    named(text).sum(..).compute().unwrap();
    let cursor = first["cursor"].as_str().unwrap();
    let next = get(&dashboard, &format!("/data?cursor={cursor}"));
    let next: Value = serde_json::from_str(&next.body).unwrap();
    assert_eq!(n_done(&next), 2 * n);
    assert_eq!(next["program"], first["program"]);
    assert!(next["part"]["lanes"].as_array().unwrap().len() < dashboard.profile().lanes().len());
    for wrong in ["x", "1.2", "1.2.3.4.5.6.7", "-1.0.0.0.0.0"] {
        assert_eq!(get(&dashboard, &format!("/data?cursor={wrong}")).status, 400, "{wrong}");
    }
    // Positions that never were are the end.
    let most = u64::MAX;
    let beyond =
        get(&dashboard, &format!("/data?cursor={most}.{most}.{most}.{most}.{most}.{most}"));
    assert_eq!(beyond.status, 200);
}

#[test]
fn it_only_reads() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    let address = dashboard.address();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/", "/data"] {
            let answer = ask(address, &format!("{method} {path}"), &address.to_string(), "");
            assert_eq!(answer.status, 405, "{method} {path}");
        }
    }
}

#[test]
fn other_web_sites_are_refused() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    let address = dashboard.address();
    for host in ["localhost", "localhost:80", "127.0.0.1", "[::1]:8787", "127.0.0.9:1"] {
        assert_eq!(ask(address, "GET /data", host, "").status, 200, "{host}");
    }
    for host in
        ["evil.example", "localhost.evil.example:8787", "192.168.0.1", "127.0.0.1.evil.example", ""]
    {
        assert_eq!(ask(address, "GET /data", host, "").status, 403, "{host}");
    }
}

#[test]
fn elsewhere_it_takes_a_token() {
    let refused = Dashboard::bind("0.0.0.0:0").unwrap_err().to_string();
    assert!(refused.contains("token") && refused.contains("dashboard.rs"), "{refused}");
    for weak in ["", "short", "0123456789 abcdef", "0123456789abcde&"] {
        let refused = Dashboard::bind_with_token("0.0.0.0:0", weak).unwrap_err().to_string();
        assert!(refused.contains("16 letters"), "{refused}");
    }
    let token = "0123456789-abcdef";
    let dashboard = Dashboard::bind_with_token("0.0.0.0:0", token).unwrap();
    assert!(dashboard.url().ends_with(&format!("/?token={token}")));
    let address = SocketAddr::from(([127, 0, 0, 1], dashboard.address().port()));
    let get =
        |path: &str, header: &str| ask(address, &format!("GET {path}"), "any.example", header);
    for path in ["/", "/data"] {
        for (query, header) in [
            ("", ""),
            ("?token=", ""),
            ("?token=0123456789-abcdeg", ""),
            ("?token=0123456789-abcdef0", ""),
            ("", "authorization: Bearer x\r\n"),
        ] {
            let answer = get(&format!("{path}{query}"), header);
            assert_eq!(answer.status, 401, "{path}{query}");
            assert!(!answer.body.contains("ops") && !answer.head.contains(token));
        }
        assert_eq!(get(&format!("{path}?token={token}"), "").status, 200);
        assert_eq!(get(path, &format!("authorization: Bearer {token}\r\n")).status, 200);
    }
}

#[test]
fn it_ends_when_it_is_dropped() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    let address = dashboard.address();
    // A connection that says nothing does not keep it.
    let _idle = TcpStream::connect(address).unwrap();
    drop(dashboard);
    assert!(TcpStream::connect(address).is_err());
    let again = Dashboard::bind(address).unwrap();
    assert_eq!(get(&again, "/").status, 200);
}
