//! Secret keys in files: a 32-octet Ed25519 seed as 64 hexadecimal digits.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use bep44::{SecretKey, from_hex, to_hex};
use serde_json::json;

use crate::args::Keygen;
use crate::failure::Failure;
use crate::output::{Output, STRONG};

/// Digits of a seed.
const DIGITS: usize = 64;

/// Reads a key.
pub(crate) fn read(path: &Path) -> Result<SecretKey, Failure> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read key file {file}: {error}")))?;
    let text = text.trim();
    let found = text.chars().count();
    if found != DIGITS {
        return Err(Failure::usage(format!(
            "key file {file} has {found} characters instead of {DIGITS} hexadecimal digits: bep44 keygen writes such a file"
        )));
    }
    let seed = from_hex(text).map_err(|error| Failure::usage(format!("key file {file}: {error}")))?;
    let seed = seed.try_into().ok().and_then(SecretKey::from_seed);
    seed.ok_or_else(|| Failure::usage(format!("key file {file} is all zeros: bep44 keygen writes a random key")))
}

/// `bep44 keygen`
pub(crate) fn generate(args: &Keygen, output: &Output) -> Result<(), Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::refused(format!("no randomness for a key: {error}")))?;
    let secret = SecretKey::from_seed(seed).ok_or_else(|| Failure::refused("the system's randomness is all zeros"))?;
    let file = args.file.display();
    let mut options = OpenOptions::new();
    // Whoever has lost a key has lost all that it signed: an existing file is never written to.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&args.file)
        .and_then(|mut file| {
            file.write_all(format!("{}\n", to_hex(&seed)).as_bytes())?;
            file.sync_all()
        })
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::usage(format!("{file} exists and is never overwritten: choose another file"))
            }
            _ => Failure::usage(format!("cannot write {file}: {error}")),
        })?;
    let public_key = secret.public_key();
    output.row("public key", &format!("{STRONG}{public_key}{STRONG:#}"));
    output.row("secret key", &format!("in {file}: keep it, and keep it to yourself"));
    output.object(&json!({ "public_key": public_key.to_string() }));
    Ok(())
}
