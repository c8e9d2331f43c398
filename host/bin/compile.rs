//! `inorder __compile`: the process that compiles components for another `inorder`, and for nobody else.

use std::process::ExitCode;

use inorder::compile_as_helper;

/// For no one to type: so far from a word that no mistyped command is corrected to it.
pub const NAME: &str = "__compile";

/// Compile a component for the process that started this one
#[derive(clap::Args)]
pub struct Args {
    /// As the host gives them
    args: Vec<String>,
}

pub fn main(args: &Args) -> ExitCode {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    match compile_as_helper(&args.args, &mut input, &mut output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The parent shows it as it stands.
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}
