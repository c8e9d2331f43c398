//! Attacks by paths and names.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

use crate::Told;
use crate::files::open;

/// The first root.
pub fn root() -> Descriptor {
    let (root, _) = get_directories().into_iter().next().expect("a root is granted");
    root
}

pub fn escape() -> Told {
    let root = root();
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    for path in [
        "/etc/passwd",
        "../secret",
        "in/../../secret",
        "./../secret",
        "in/out/secret",
        "up/secret",
        "etc/passwd",
        "passwd",
        "loop",
        "//etc/passwd",
        ".inorder/batches",
        "in/\0/x",
        "/proc/self/environ",
        "",
    ] {
        if open(&root, path, OpenFlags::empty(), read).is_ok() {
            return Err(format!("{path:?} was opened"));
        }
        if open(&root, path, OpenFlags::CREATE, write).is_ok() {
            return Err(format!("{path:?} was opened for writing"));
        }
        if root.stat_at(PathFlags::SYMLINK_FOLLOW, path).is_ok() {
            return Err(format!("{path:?} was seen"));
        }
        if !path.is_empty() && root.rename_at("in/file", &root, &format!("{path}/new")).is_ok() {
            return Err(format!("{path:?} got a file"));
        }
        if root.link_at(PathFlags::empty(), path, &root, "stolen").is_ok()
            && open(&root, "stolen", OpenFlags::empty(), read).is_ok()
        {
            return Err(format!("{path:?} was linked and read"));
        }
        let _ = root.unlink_file_at("stolen");
    }
    for target in ["/etc/passwd", "../secret", "../../secret", "in/../../secret"] {
        let _ = root.unlink_file_at("mine");
        if root.symlink_at(target, "mine").is_ok()
            && open(&root, "mine", OpenFlags::empty(), read).is_ok()
        {
            return Err(format!("a symlink to {target:?} was followed"));
        }
    }
    // A directory that is moved while it is held does not take its `..` along.
    let _ = root.create_directory_at("deep");
    root.create_directory_at("deep/er").map_err(told)?;
    let deep = open(&root, "deep/er", OpenFlags::DIRECTORY, read).map_err(told)?;
    root.rename_at("deep/er", &root, "shallow").map_err(told)?;
    if open(&deep, "../../secret", OpenFlags::empty(), read).is_ok() {
        return Err("a moved directory led out".into());
    }
    Ok("no way led out".into())
}

/// Every function that takes a name, with one so long.
pub fn long(bytes: usize) -> Told {
    let (root, long) = (root(), "n".repeat(bytes));
    let slashes = "n/".repeat(bytes / 2);
    for name in [&*long, &*slashes, &*format!("./{long}/x")] {
        let tried = [
            open(&root, name, OpenFlags::CREATE, DescriptorFlags::WRITE).err(),
            root.create_directory_at(name).err(),
            root.stat_at(PathFlags::empty(), name).err(),
            root.symlink_at(name, "link").err(),
            root.symlink_at("to", name).err(),
            root.rename_at("in", &root, name).err(),
            root.rename_at(name, &root, "other").err(),
            root.link_at(PathFlags::empty(), "in/file", &root, name).err(),
            root.unlink_file_at(name).err(),
            root.remove_directory_at(name).err(),
            root.readlink_at(name).err(),
            root.metadata_hash_at(PathFlags::empty(), name).err(),
        ];
        for (number, error) in tried.into_iter().enumerate() {
            if !matches!(error, Some(ErrorCode::NameTooLong)) {
                return Err(format!("function {number} gave {error:?}"));
            }
        }
    }
    Ok("every one is too long".into())
}

pub fn list(path: &str, times: u32) -> Told {
    let root = root();
    let dir = open(&root, path, OpenFlags::DIRECTORY, DescriptorFlags::READ).map_err(told)?;
    let mut held = Vec::new();
    for _ in 0..times {
        match dir.read_directory() {
            Ok(stream) => {
                stream.read_directory_entry().map_err(told)?;
                held.push(stream);
            }
            Err(error) => return Err(format!("{} listings are open: {error}", held.len())),
        }
    }
    Ok(format!("{} listings are open", held.len()))
}

pub fn create(count: u32) -> Told {
    let root = root();
    for number in 0..count {
        let made = open(&root, &number.to_string(), OpenFlags::CREATE, DescriptorFlags::WRITE);
        if let Err(error) = made {
            return Err(format!("after {number} files: {error}"));
        }
    }
    Ok(format!("{count} files were made"))
}

pub fn churn(count: u32) -> Told {
    let root = root();
    for number in 0..count {
        let name = number.to_string();
        let made = open(&root, &name, OpenFlags::CREATE, DescriptorFlags::WRITE);
        if let Err(error) = made.map(drop).and_then(|()| root.unlink_file_at(&name)) {
            return Err(format!("after {number} files: {error}"));
        }
    }
    Ok(format!("{count} files were made and removed"))
}

pub fn look(count: u32) -> Told {
    let (root, long) = (root(), "n".repeat(200));
    for number in 0..count {
        match root.stat_at(PathFlags::empty(), &format!("{long}{number}")) {
            Err(ErrorCode::NoEntry) => {}
            Err(error) => return Err(format!("after {number} names: {error}")),
            Ok(_) => return Ok(format!("name {number} is there")),
        }
    }
    Ok(format!("{count} names were looked for"))
}

pub fn nest(depth: u32, name: usize) -> Told {
    let (mut at, name) = (root(), "d".repeat(name));
    for level in 0..depth {
        let deeper = at
            .create_directory_at(&name)
            .and_then(|()| open(&at, &name, OpenFlags::DIRECTORY, DescriptorFlags::READ));
        match deeper {
            Ok(deeper) => at = deeper,
            Err(error) => return Err(format!("at level {level}: {error}")),
        }
    }
    Ok(format!("directories are {depth} deep"))
}

fn told(error: ErrorCode) -> String {
    error.to_string()
}
