//! The program prints what its code says that it does.

use std::process::Command;

const TRANSCRIPT: &str = "\
unary: the meter shows 1200 Wh
client stream: 3 readings, 60 Wh in all
bidi stream: 100 Wh, +0
bidi stream: 130 Wh, +30
bidi stream: 190 Wh, +60
bidi stream, half closed: in all +90
bidi stream: the server has closed its side too
client stream: invalid_argument: a meter does not run backwards
server stream: 1000 readings taken, fewer than 200000 more are under way
server stream: the server has 1 watcher
server stream, dropped: it has none
";

#[test]
fn the_tour_prints_its_transcript() {
    let output = Command::new(env!("CARGO_BIN_EXE_streaming-tour"))
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        printed,
        TRANSCRIPT,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success());
}
