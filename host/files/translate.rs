//! Between WASI's types and ours.

use rustix::io::Errno;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::disk::{Kind, Result, Stat, Time};
use super::node::SetTimes;
use super::resolve::Last;
use super::wasi::types::{DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, PathFlags};

pub fn last(follow: PathFlags) -> Last {
    if follow.contains(PathFlags::SYMLINK_FOLLOW) { Last::Follow } else { Last::Keep }
}

pub fn times(accessed: &NewTimestamp, modified: &NewTimestamp) -> Result<SetTimes> {
    let time = |new: &NewTimestamp| match new {
        NewTimestamp::NoChange => Ok(None),
        NewTimestamp::Now => Ok(Some(super::tree::now())),
        // Some larger numbers mean something of their own to the system.
        NewTimestamp::Timestamp(time) if time.nanoseconds >= 1_000_000_000 => Err(Errno::INVAL),
        NewTimestamp::Timestamp(time) => {
            let seconds = i64::try_from(time.seconds).map_err(|_| Errno::OVERFLOW)?;
            Ok(Some((seconds, time.nanoseconds)))
        }
    };
    Ok(SetTimes { accessed: time(accessed)?, modified: time(modified)? })
}

pub fn descriptor_type(kind: Kind) -> DescriptorType {
    match kind {
        Kind::File => DescriptorType::RegularFile,
        Kind::Dir => DescriptorType::Directory,
        Kind::Symlink => DescriptorType::SymbolicLink,
        Kind::Other => DescriptorType::Unknown,
    }
}

pub fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    let time = |(seconds, nanoseconds): Time| {
        Some(Datetime { seconds: u64::try_from(seconds).unwrap_or(0), nanoseconds })
    };
    DescriptorStat {
        type_: descriptor_type(stat.kind),
        link_count: stat.nlink,
        size: stat.size,
        data_access_timestamp: time(stat.accessed),
        data_modification_timestamp: time(stat.modified),
        status_change_timestamp: time(stat.changed),
    }
}

/// The error of WASI that a C library makes the same error of again.
pub fn code(errno: Errno) -> ErrorCode {
    match errno {
        Errno::ACCESS => ErrorCode::Access,
        Errno::AGAIN => ErrorCode::WouldBlock,
        Errno::ALREADY => ErrorCode::Already,
        Errno::BADF => ErrorCode::BadDescriptor,
        Errno::BUSY => ErrorCode::Busy,
        Errno::DQUOT => ErrorCode::Quota,
        Errno::EXIST => ErrorCode::Exist,
        Errno::FBIG => ErrorCode::FileTooLarge,
        Errno::ILSEQ => ErrorCode::IllegalByteSequence,
        Errno::INTR => ErrorCode::Interrupted,
        Errno::INVAL => ErrorCode::Invalid,
        Errno::ISDIR => ErrorCode::IsDirectory,
        Errno::LOOP => ErrorCode::Loop,
        Errno::MLINK => ErrorCode::TooManyLinks,
        Errno::NAMETOOLONG => ErrorCode::NameTooLong,
        Errno::NOENT => ErrorCode::NoEntry,
        Errno::NOMEM => ErrorCode::InsufficientMemory,
        Errno::NOSPC => ErrorCode::InsufficientSpace,
        Errno::NOTDIR => ErrorCode::NotDirectory,
        Errno::NOTEMPTY => ErrorCode::NotEmpty,
        Errno::NOTSUP => ErrorCode::Unsupported,
        Errno::OVERFLOW => ErrorCode::Overflow,
        Errno::PERM => ErrorCode::NotPermitted,
        Errno::ROFS => ErrorCode::ReadOnly,
        Errno::TXTBSY => ErrorCode::TextFileBusy,
        Errno::XDEV => ErrorCode::CrossDevice,
        _ => ErrorCode::Io,
    }
}
