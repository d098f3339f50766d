//! What is wrong in itself is refused with exit status 2 and one line that names the value and the limit. None of these
//! commands may send anything: they name no node, and run on loopback.

use crate::network::{Done, run, text};

fn refused(args: &[&str]) -> Done {
    run(&[args, &["--bind", "127.0.0.1:0"]].concat())
}

const TARGET: &str = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

#[test]
fn without_arguments_it_says_what_it_can_do() {
    let help = run(&[]);
    assert_eq!(help.status, Some(2));
    for command in [
        "demo", "keygen", "put", "get", "watch", "publish", "resolve", "announce", "peers", "ping", "lookup", "node",
        "replay",
    ] {
        assert!(help.stderr.contains(command), "{help:?}");
    }
    assert_eq!(run(&["--help"]).status, Some(0));
    assert!(run(&["put", "--help"]).stdout.contains("--salt"));
}

#[test]
fn values_and_salts_over_the_limit() {
    refused(&["put", &"x".repeat(997)]).is_usage(&["1001", "1000"]);
    refused(&["put", "--bencoded", &format!("997:{}", "x".repeat(997))]).is_usage(&["1001", "1000"]);
    refused(&["put", "--bencoded", "5:four"]).is_usage(&["bencoded"]);
    refused(&["put", "--bencoded", "d1:bi1e1:ai1ee"]).is_usage(&["canonical"]);
    let salt = "s".repeat(65);
    refused(&["put", "--key", "k", "--salt", &salt, "v"]).is_usage(&["65", "64"]);
    refused(&["get", "--public-key", KEY, "--salt", &salt]).is_usage(&["65", "64"]);
    refused(&["put", "--file", "/nonexistent/file"]).is_usage(&["/nonexistent/file"]);
}

#[test]
fn what_does_not_parse() {
    refused(&["get", "12"]).is_usage(&["'12'", "40 hexadecimal digits"]);
    refused(&["get", &TARGET.replace('e', "g")]).is_usage(&["hexadecimal"]);
    refused(&["get", "--public-key", "12"]).is_usage(&["'12'", "64 hexadecimal digits"]);
    refused(&["get"]).is_usage(&["TARGET"]);
    refused(&["get", TARGET, "--public-key", KEY]).is_usage(&["--public-key"]);
    refused(&["get", TARGET, "--salt", "s"]).is_usage(&["--salt", "TARGET"]);
    refused(&["get", TARGET, "--seq", "1"]).is_usage(&["--seq", "TARGET"]);
    refused(&["get", "--public-key", KEY, "--seq", "-1"]).is_usage(&["'-1'", "from 0"]);
    refused(&["put"]).is_usage(&["VALUE"]);
    refused(&["put", "v", "--seq", "1"]).is_usage(&["--key"]);
    refused(&["put", "v", "--key", "k", "--cas", "x"]).is_usage(&["'x'", "from 0"]);
    refused(&["lookup", "zz"]).is_usage(&["'zz'"]);
    refused(&["peers", "zz"]).is_usage(&["'zz'"]);
    refused(&["announce", TARGET, "--port", "0"]).is_usage(&["0"]);
    refused(&["announce", TARGET, "--port", "65536"]).is_usage(&["65536", "65535"]);
    refused(&["resolve", "magnet:?xt=urn:btih:00"]).is_usage(&["urn:btpk"]);
    refused(&["watch"]).is_usage(&["--public-key"]);
    for interval in ["0.5", "0", "-1", "x", "1e300"] {
        refused(&["watch", "--public-key", KEY, "--interval", interval]).is_usage(&["from 1"]);
    }
    refused(&["frobnicate"]).is_usage(&["frobnicate"]);
}

#[test]
fn addresses_that_do_not_parse() {
    for addr in ["localhost", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "1.2.3:5", "::1:6881", ""] {
        refused(&["ping", addr]).is_usage(&["HOST:PORT"]);
        refused(&["get", TARGET, "--bootstrap", addr]).is_usage(&["HOST:PORT"]);
    }
    run(&["get", TARGET, "--bind", "127.0.0.1"]).is_usage(&["'127.0.0.1'", "ADDRESS:PORT"]);
    run(&["get", TARGET, "--bind", "192.0.2.1:0", "--bootstrap", "127.0.0.1:9"]).is_usage(&["192.0.2.1:0", "--bind"]);
    let twice = ["--bind", "127.0.0.1:0", "--bind", "127.0.0.2:0", "--bootstrap", "127.0.0.1:9"];
    run(&[&["get", TARGET][..], &twice].concat()).is_usage(&["127.0.0.1:0", "127.0.0.2:0", "IPv6"]);
    let thrice = [&twice[..], &["--bind", "[::1]:0"]].concat();
    run(&[&["get", TARGET][..], &thrice].concat()).is_usage(&["--bind", "3 times"]);
    refused(&["get", TARGET, "--timeout", "-1"]).is_usage(&["seconds"]);
}

#[test]
fn key_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (file, short, zeros) = (path("key"), path("short"), path("zeros"));
    let done = run(&["keygen", &file, "--json"]);
    assert_eq!(text(&done.object()["public_key"]).len(), 64);
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.trim().len() == 64 && written.trim().chars().all(|c| c.is_ascii_hexdigit()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    run(&["keygen", &file]).is_usage(&["exists", &file]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);

    std::fs::write(&short, &written[..62]).unwrap();
    std::fs::write(&zeros, "0".repeat(64)).unwrap();
    refused(&["put", "--key", &short, "v"]).is_usage(&[&short, "62", "64"]);
    refused(&["publish", "--key", &short, TARGET]).is_usage(&[&short, "62", "64"]);
    refused(&["put", "--key", &zeros, "v"]).is_usage(&[&zeros, "zeros"]);
    refused(&["put", "--key", &path("none"), "v"]).is_usage(&["none"]);
    refused(&["put", "--key", &file, &"x".repeat(997)]).is_usage(&["1001", "1000"]);
}

#[test]
fn an_object_says_it_to_programs() {
    let done = refused(&["get", "12", "--json"]);
    assert_eq!(done.status, Some(2));
    assert!(text(&done.object()["error"]).contains("40 hexadecimal digits"));
    let done = refused(&["put", &"x".repeat(997), "--json"]);
    assert!(text(&done.object()["error"]).contains("1001"));
}

#[test]
fn what_this_build_does_not_have() {
    refused(&["get", TARGET, "--runtime", "other"]).is_usage(&["blocking"]);
}
