//! What the page, the worker and Node.js call.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::checks;

/// Makes all checks against the server, and returns a line for each: `ok` or `FAILED`, and what.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "JavaScript reaches it")]
pub async fn run(server: String, place: String) -> String {
    let mut lines = Vec::new();
    for (name, outcome) in checks::all(&server, &place).await {
        lines.push(match outcome {
            Ok(()) => format!("ok      {place}: {name}"),
            Err(error) => format!("FAILED  {place}: {name}: {error}"),
        });
    }
    lines.join("\n")
}
