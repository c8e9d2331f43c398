//! Opens a repository, and refuses what these tools would not treat as git does.

use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice as _};
use gix::index;

/// A repository with a working tree, and its index.
pub struct Repo {
    pub git: gix::Repository,
    pub index: index::File,
}

/// The repository in `path` itself, not in a folder above it: where a folder belongs to is the caller's to say.
///
/// Its own config alone is read. The user's and the system's are no plugin's to see.
pub fn open(path: &str) -> Result<gix::Repository, String> {
    refuse_option("repo_path", path)?;
    let options = gix::open::Options::isolated().with(gix::sec::Trust::Full).strict_config(false);
    let repo = gix::open_opts(Path::new(path), options).map_err(|error| {
        let exists = Path::new(path).join(".git").symlink_metadata().is_ok();
        let hint = if exists {
            String::new()
        } else {
            ": repo_path names the folder that holds .git".to_owned()
        };
        format!("{path}: not a git repository that can be read{hint}: {}", words(&error))
    })?;
    Ok(repo)
}

impl Repo {
    pub fn open(path: &str) -> Result<Repo, String> {
        let git = open(path)?;
        if git.workdir().is_none() {
            return Err(format!("{path}: this repository has no working tree"));
        }
        let index = git.index_or_empty().map_err(|error| words(&error))?;
        let index = index::File::clone(&index);
        if index.is_sparse() || index.link().is_some() {
            return Err(format!(
                "{path}: its index is a sparse or a split one, which this tool cannot read"
            ));
        }
        Ok(Repo { git, index })
    }

    /// Where a path of the repository lies in the working tree.
    pub fn place(&self, path: &BStr) -> Result<std::path::PathBuf, String> {
        let path = path
            .to_str()
            .map_err(|_| format!("{path}: a name that is not UTF-8 cannot be opened here"))?;
        Ok(self.git.workdir().unwrap_or(Path::new(".")).join(path))
    }

    /// The tree of HEAD; none before the first commit.
    pub fn head_tree(&self) -> Result<Option<ObjectId>, String> {
        head(&self.git)?.map(|head| tree_of(&self.git, head)).transpose()
    }
}

/// The commit of HEAD; none before the first.
pub fn head(git: &gix::Repository) -> Result<Option<ObjectId>, String> {
    let mut head = git.head().map_err(|error| words(&error))?;
    if head.is_unborn() {
        return Ok(None);
    }
    let id = head.try_peel_to_id().map_err(|error| words(&error))?;
    Ok(id.map(gix::Id::detach))
}

/// The tree of a commit, a tag or a tree.
pub fn tree_of(git: &gix::Repository, id: ObjectId) -> Result<ObjectId, String> {
    let object = git.find_object(id).map_err(|error| words(&error))?;
    Ok(object.peel_to_tree().map_err(|error| words(&error))?.id)
}

/// What a revision names.
pub fn resolve<'r>(
    git: &'r gix::Repository,
    what: &str,
    revision: &str,
) -> Result<gix::Object<'r>, String> {
    refuse_option(what, revision)?;
    let id = git.rev_parse_single(BStr::new(revision)).map_err(|error| {
        format!("{revision}: names no commit or object of this repository: {}", words(&error))
    })?;
    id.object().map_err(|error| words(&error))
}

/// No program is run here that could take a value for an option; one that looks like it is refused all the
/// same, as the reference server does, since other tools may pass it on.
pub fn refuse_option(what: &str, value: &str) -> Result<(), String> {
    match value {
        "" => Err(format!("{what}: it is empty")),
        _ if value.starts_with('-') => {
            Err(format!("Invalid {what}: '{value}' - cannot start with '-'"))
        }
        _ => Ok(()),
    }
}

/// Everything that an error says, its causes too.
pub fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|it| it.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ").replace('\n', " ")
}

/// What a tool answers. Contents and names need not be UTF-8, results have to be.
pub fn text(bytes: Vec<u8>) -> String {
    BString::from(bytes).to_str_lossy().into_owned()
}
