//! The program prints what its code says that it does.

use std::process::Command;

const TRANSCRIPT: &str = "\
spiffe://example.org/frontend
  get: the answer is 42 (read by frontend)
  delete: permission_denied: frontend may not delete
spiffe://example.org/backup
  get: the answer is 42 (read by backup)
  delete: done
spiffe://elsewhere.example/backup
  get: unauthenticated: the certificate names no workload: it has no URI that begins with spiffe://example.org/
  delete: unauthenticated: the certificate names no workload: it has no URI that begins with spiffe://example.org/
";

#[test]
fn three_workloads_get_what_is_theirs() {
    let output = Command::new(env!("CARGO_BIN_EXE_mtls-identity"))
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
