//! Embeds the host: three calls, of which two run at once and one uses a result.
//!
//! `cargo run --release --example embed`

use inorder::{Batch, Grants, Host, PathGrant, PluginSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The built-in tools may read `wit/` beneath the current directory, and nothing else.
    let grants = Grants { read: vec![PathGrant::parse("wit/**")?], ..Grants::default() };
    let host =
        Host::builder().root(".").plugin(PluginSpec::builtin("filesystem", grants)).build()?;

    let batch = Batch::from_json(
        br#"{"calls": [
            {"id": "find", "tool": "search_files", "args": {"path": "wit", "pattern": "*.wit"}},
            {"id": "grep", "tool": "grep", "args": {"path": "wit", "pattern": "^interface"}},
            {"id": "head", "tool": "read_text_file",
             "args": {"path": {"$from": "find", "at": "/0/path"}, "head": 3}}
        ]}"#,
    )?;
    let report = host.run(batch).await?;
    for outcome in &report.results {
        match &outcome.result {
            Ok(value) => println!("{}: {value}", outcome.id),
            Err(error) => println!("{}: {} ({})", outcome.id, error, error.kind.as_str()),
        }
    }
    Ok(())
}
