//! The roots of the web and of the operating system.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![cfg(any(feature = "webpki-roots", feature = "native-roots"))]

mod common;

use common::{Authority, H2, Pair};
use connect_rustls::{ClientTls, handshake_advice};

#[cfg(feature = "webpki-roots")]
#[test]
fn the_roots_of_the_web_are_trusted_beside_authorities_that_were_named() {
    let authority = Authority::new("servers");
    let server = authority.issue("localhost").server();
    let web = ClientTls::new().with_webpki_roots().unwrap();
    web.check().unwrap();
    let error = Pair::new(&web, &[H2], &server, &[H2])
        .shake_hands()
        .unwrap_err();
    assert!(handshake_advice(&std::io::Error::other(error)).is_some());
    let both = web.add_ca(authority.pem()).unwrap();
    Pair::new(&both, &[H2], &server, &[H2])
        .shake_hands()
        .unwrap();
}

/// The variables are those of a process, so the test runs itself in another.
#[cfg(feature = "native-roots")]
#[test]
fn the_roots_of_the_system_are_those_that_its_variables_name() {
    use std::{env, fs, process::Command};

    const KEY: &str = "CONNECT_RUSTLS_TEST_KEY";
    if let Ok(files) = env::var(KEY) {
        let (chain, key) = files.split_once(';').unwrap();
        let server =
            connect_rustls::ServerTls::from_pem(fs::read(chain).unwrap(), fs::read(key).unwrap())
                .unwrap();
        let client = ClientTls::new().with_native_roots().unwrap();
        Pair::new(&client, &[H2], &server, &[H2])
            .shake_hands()
            .unwrap();
        return;
    }
    let folder = env::temp_dir().join(format!("connect-rustls-roots-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let authority = Authority::new("servers");
    let identity = authority.issue("localhost");
    let roots = write("roots.pem", &authority.pem());
    let others = write("others.pem", &Authority::new("others").pem());
    let nobody = write("nobody.pem", "");
    let files = [
        write("chain.pem", &identity.chain),
        write("server.key", &identity.key),
    ]
    .join(";");
    let run = |roots: &str| {
        let output = Command::new(env::current_exe().unwrap())
            .arg("the_roots_of_the_system_are_those_that_its_variables_name")
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR")
            .env(KEY, &files)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let trusted = run(&roots);
    let untrusted = run(&others);
    let nobody = run(&nobody);
    fs::remove_dir_all(&folder).unwrap();
    assert!(trusted.0, "{}", trusted.1);
    assert!(
        !untrusted.0 && untrusted.1.contains("UnknownIssuer"),
        "{}",
        untrusted.1
    );
    assert!(
        !nobody.0 && nobody.1.contains("trusts no authority"),
        "{}",
        nobody.1
    );
}
