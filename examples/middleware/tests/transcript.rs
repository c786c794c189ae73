//! The program prints what its code says that it does.

use std::process::Command;

const TRANSCRIPT: &str = "\
add a note, with no token:
  unauthenticated: call with a token, in the header `authorization: Bearer …`
add a note, with token-of-mallory:
  unauthenticated: the token is not known
add a note, with token-of-ada:
  log: three /notes.v1.NotesService/Add ok
  the response is that of Some(\"three\")
  Ada has 1 note
GET /notes:
  [\"bring milk\"] from Some(\"notes\")
";

#[test]
fn calls_and_routes_share_state_and_layers() {
    let output = Command::new(env!("CARGO_BIN_EXE_middleware"))
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
