//! The keyring of the user's session, by the program that libsecret has for it.
//!
//! A program and no library: what speaks D-Bus would be a third of all that is compiled here, for one question at a start.

use std::process::{Command, Stdio};

use crate::policy::SecretError;

const PROGRAM: &str = "secret-tool";

/// The secret of the item that is called so. May ask the user to unlock the keyring, and waits for that.
///
/// # Errors
/// There is no such item, no keyring, or no program that asks it.
pub(super) fn lookup(name: &str) -> Result<String, SecretError> {
    let output = Command::new(PROGRAM)
        .args(["lookup", "service", "inorder", "name", name])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| SecretError::NoKeyring(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let message = if said.is_empty() { String::new() } else { format!(" ({said})") };
    if !output.status.success() || output.stdout.is_empty() {
        return Err(SecretError::NotInKeyring { name: name.to_owned(), message });
    }
    let secret = String::from_utf8(output.stdout).map_err(|_| SecretError::Value)?;
    Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
}
