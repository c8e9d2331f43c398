//! Says what directories hold and what paths are. Reads no file contents.

use crate::errors::{Access, describe};
use crate::files::{Entry, Info, Kind, Listing, Order, SizedEntry, TreeEntry};
use crate::glob::Excluded;
use crate::paths::{self, Named, Walk, given, join};
use std::{fs, io, time::SystemTime};

/// The most entries that a tree or a search answers with. More fills a model's context and tells it
/// nothing.
pub const MOST: usize = 20_000;

pub fn directory(path: &str) -> Result<Vec<Entry>, String> {
    let directory = &given(path)?;
    let entries = entries(directory)?.into_iter();
    Ok(entries
        .map(|Named { name, kind }| Entry { path: join(directory, &name), name, kind })
        .collect())
}

pub fn directory_with_sizes(path: &str, order: Order) -> Result<Listing, String> {
    let directory = &given(path)?;
    let mut listing = Listing { entries: Vec::new(), files: 0, directories: 0, total_size: 0 };
    for Named { name, kind } in entries(directory)? {
        let path = join(directory, &name);
        let size = match kind {
            Kind::File => {
                listing.files += 1;
                fs::symlink_metadata(&path)
                    .map_err(|error| describe(&path, Access::Read, &error))?
                    .len()
            }
            Kind::Directory => {
                listing.directories += 1;
                0
            }
            Kind::Symlink | Kind::Other => 0,
        };
        listing.total_size = listing.total_size.saturating_add(size);
        listing.entries.push(SizedEntry { name, path, kind, size });
    }
    if order == Order::Size {
        // stable: equal sizes stay in the order of their names
        listing.entries.sort_by_key(|entry| std::cmp::Reverse(entry.size));
    }
    Ok(listing)
}

pub fn tree(path: &str, exclude: &[String]) -> Result<Vec<TreeEntry>, String> {
    let excluded = Excluded::new(exclude)?;
    let root = &given(path)?;
    let mut walk = Walk::new(root).map_err(|error| describe(root, Access::Read, &error))?;
    let mut tree = Vec::new();
    while let Some(step) = walk.next() {
        if excluded.matches(&step) {
            continue;
        }
        if tree.len() == MOST {
            return Err(format!(
                "{root}: over {MOST} entries; leave some out with exclude_patterns, or list one directory at a time"
            ));
        }
        if step.kind == Kind::Directory {
            // one that may not be read is still shown; asking for it by name tells why
            let _ = walk.enter(&step);
        }
        tree.push(TreeEntry { path: step.path, kind: step.kind, depth: step.depth as u32 });
    }
    Ok(tree)
}

pub fn info(path: &str) -> Result<Info, String> {
    let path = &given(path)?;
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::symlink_metadata(path),
        metadata => metadata,
    };
    let metadata = metadata.map_err(|error| describe(path, Access::Read, &error))?;
    Ok(Info {
        kind: paths::kind(metadata.file_type()),
        size: if metadata.is_file() { metadata.len() } else { 0 },
        modified: metadata.modified().ok().and_then(rfc3339),
        accessed: metadata.accessed().ok().and_then(rfc3339),
    })
}

/// The preopened directories, under the names that guests use for them.
#[cfg(target_os = "wasi")]
pub fn allowed_directories() -> Vec<String> {
    wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, name)| name).collect()
}

#[cfg(not(target_os = "wasi"))]
pub fn allowed_directories() -> Vec<String> {
    vec!["/".into(), ".".into()]
}

fn entries(directory: &str) -> Result<Vec<Named>, String> {
    paths::entries(directory).map_err(|error| describe(directory, Access::Read, &error))
}

/// A time in UTC to the millisecond; none before 1970 or after 9999, which RFC 3339 cannot say or
/// disks do not mean.
fn rfc3339(time: SystemTime) -> Option<String> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let milliseconds = since.subsec_millis();
    (year <= 9999).then(|| {
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
        )
    })
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar. Years begin
/// in March here, so that the leap day is the last (Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_rfc_3339() {
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_001, "2100-03-01T00:00:00.001Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
            assert_eq!(rfc3339(time).as_deref(), Some(expected));
        }
    }
}
