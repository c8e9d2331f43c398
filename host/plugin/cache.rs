//! Compiled components kept on disk, so that a plugin is compiled once and not at every start.
//!
//! What is loaded from here runs as native code, so the folder is trusted as the binary itself is: it must
//! belong to this user, and be closed to all others. A file is named by the component's digest and by all
//! that the compiled form depends on (compiler version, settings, processor, `divide.rs`), and ends with a sum of what is
//! before: what is damaged or was made by another version is compiled again, never loaded. Files are mapped, not
//! read, and so are never written in place. What `seen.rs` remembers of component files is kept beside them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::divide::VERSION;

/// The most files of a kind that are kept; beyond it the longest unused go.
const MOST_FILES: usize = 100;
/// Of the sum at the end of each, in bytes.
pub(super) const SUM: usize = 4;

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens `dir`, which is made if it does not exist.
    ///
    /// # Errors
    /// It cannot be made, or others than this user may write in it.
    pub fn open(dir: &Path) -> io::Result<Cache> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let found = fs::metadata(dir)?;
        // A file that we make belongs to us: the plain way to learn who we are.
        let probe = tempfile::tempfile_in(dir)?;
        let ours = probe.metadata()?.uid() == found.uid();
        if !ours || found.mode() & 0o077 != 0 {
            let message = "it must belong to you alone (mode 0700)";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(Cache { dir: dir.to_owned() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The compiled form of the component with that digest, if a sound one is kept.
    pub fn load(&self, engine: &Engine, component: &str) -> Option<Component> {
        let path = self.dir.join(name(engine, component));
        let mut file = File::open(&path).ok()?;
        if !is_whole(&mut file).ok()? {
            tracing::warn!(path = %path.display(), "a compiled plugin is damaged, and compiled again");
            return None;
        }
        // When it was last used decides what goes first; that this cannot be noted is no loss.
        let _ = file.set_modified(SystemTime::now());
        #[expect(
            unsafe_code,
            reason = "our own output: whole, of this very engine, in a folder that is ours"
        )]
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        loaded
            .inspect_err(|error| tracing::warn!(%error, "a compiled plugin cannot be loaded"))
            .ok()
    }

    /// Keeps the compiled form of a component. A cache that cannot be written only costs time later.
    pub fn store(&self, engine: &Engine, component: &str, compiled: &Component) {
        let code = compiled.serialize().map_err(io::Error::other);
        let stored = code.and_then(|code| self.keep(&name(engine, component), &code));
        if let Err(error) = stored {
            tracing::warn!(dir = %self.dir.display(), %error, "a compiled plugin cannot be kept");
        }
    }

    /// Keeps a file whose content ends with its sum.
    pub(super) fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(content)?;
        file.write_all(&crc32fast::hash(content).to_le_bytes())?;
        let path = self.dir.join(name);
        file.persist(&path)?;
        self.tidy(path.extension())
    }

    fn tidy(&self, kind: Option<&OsStr>) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension() == kind {
                files.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        files.sort();
        for (_, path) in &files[..files.len().saturating_sub(MOST_FILES)] {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn name(engine: &Engine, component: &str) -> String {
    let mut name = Digest(Sha256::new_with_prefix(component));
    engine.precompile_compatibility_hash().hash(&mut name);
    VERSION.hash(&mut name);
    format!("{}.cwasm", hex(&name.0.finalize()))
}

pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file ends with the sum of what is before.
fn is_whole(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let Some(code) = length.checked_sub(SUM as u64) else { return Ok(false) };
    let mut sum = crc32fast::Hasher::new();
    let mut buffer = [0; 64 << 10];
    let mut reader = file.take(code);
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    let mut kept = [0; SUM];
    file.seek(SeekFrom::Start(code))?;
    file.read_exact(&mut kept)?;
    Ok(sum.finalize() == u32::from_le_bytes(kept))
}

/// Feeds what is `Hash` to a digest, which unlike the standard hashers is the same in every process and
/// has no collisions to fear.
struct Digest(Sha256);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const WAT: &str = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#;

    fn kept(dir: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }

    #[test]
    fn what_was_stored_is_loaded_until_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("made")).unwrap();
        let engine = Engine::default();
        let digest = "1";
        assert!(cache.load(&engine, digest).is_none());
        cache.store(
            &engine,
            digest,
            &Component::new(&engine, wat::parse_str(WAT).unwrap()).unwrap(),
        );
        let loaded = cache.load(&engine, digest).unwrap();
        assert!(loaded.get_export(None, "f").is_some());
        let file = kept(&cache.dir);
        let whole = fs::read(&file).unwrap();
        // What is loaded maps the file, which therefore is replaced, as the cache does.
        let put = |bytes: &[u8]| {
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
        };
        for damage in [0, SUM, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[damage] ^= 1;
            put(&damaged);
            assert!(cache.load(&engine, digest).is_none(), "a flipped bit at {damage}");
            put(&whole[..damage]);
            assert!(cache.load(&engine, digest).is_none(), "cut at {damage}");
        }
        put(&whole);
        assert!(cache.load(&engine, digest).is_some());
    }

    #[test]
    fn another_engine_or_component_has_another_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let engine = Engine::default();
        cache.store(&engine, "1", &Component::new(&engine, wat::parse_str(WAT).unwrap()).unwrap());
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(cache.load(&other, "1").is_none());
        assert!(cache.load(&engine, "2").is_none());
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
        assert!(Cache::open(dir.path()).unwrap_err().to_string().contains("0700"));
    }
}
