use super::*;

#[test]
fn names_are_checked() {
    assert!(check_name("gzip").is_ok());
}
