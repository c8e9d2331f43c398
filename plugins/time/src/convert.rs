//! Moments in time zones, worded as the reference MCP time server words them. Reads no clock.

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Dst, Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use crate::clock::{TimeConversionResult, TimeResult};

const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub fn at(now: Timestamp, timezone: &str) -> Result<TimeResult, String> {
    let zone = zone(&TimeZoneDatabase::bundled(), "timezone", timezone)?;
    Ok(result(timezone, &now.to_zoned(zone)))
}

/// `time` on the day that `now` is in the source.
pub fn between(
    now: Timestamp,
    source: &str,
    time: &str,
    target: &str,
) -> Result<TimeConversionResult, String> {
    let zones = TimeZoneDatabase::bundled();
    let source_zone = zone(&zones, "source_timezone", source)?;
    let target_zone = zone(&zones, "target_timezone", target)?;
    let clock = parse(time)
        .ok_or_else(|| "Invalid time format. Expected HH:MM [24-hour format]".to_owned())?;
    let date = now.to_zoned(source_zone.clone()).date();
    let shown = DateTime::from_parts(date, clock);
    let ambiguous = source_zone.to_ambiguous_zoned(shown);
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        return Err(format!(
            "Invalid time: {time} does not exist in {source} on {date} (skipped by a clock change)"
        ));
    }
    let from = ambiguous.compatible().map_err(|error| error.to_string())?;
    let to = from.with_time_zone(target_zone);
    Ok(TimeConversionResult {
        time_difference: difference(from.offset(), to.offset()),
        source: result(source, &from),
        target: result(target, &to),
    })
}

fn result(timezone: &str, moment: &Zoned) -> TimeResult {
    let info = moment.time_zone().to_offset_info(moment.timestamp());
    TimeResult {
        timezone: timezone.to_owned(),
        datetime: iso(moment),
        day_of_week: DAYS[moment.weekday().to_monday_zero_offset() as usize].to_owned(),
        is_dst: info.dst() == Dst::Yes,
    }
}

/// The database compares names in any case; the reference server takes exact ones alone.
fn zone(zones: &TimeZoneDatabase, parameter: &str, name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Err(format!("Missing required argument: {parameter}"));
    }
    let known = zones.get(name).ok();
    let exact = known.as_ref().and_then(TimeZone::iana_name);
    match (known.as_ref(), exact) {
        (Some(zone), Some(exact)) if exact == name => Ok(zone.clone()),
        (_, exact) => {
            let hint = exact.map(|it| format!("; did you mean {it:?}?"));
            let hint = hint.unwrap_or_else(|| {
                "; a name of the IANA database is meant, such as \"Europe/London\"".to_owned()
            });
            Err(format!("Invalid timezone: no time zone found with key {name:?}{hint}"))
        }
    }
}

/// `H:M`, with one digit or two each.
fn parse(time: &str) -> Option<Time> {
    let (hour, minute) = time.split_once(':')?;
    let number = |digits: &str| {
        let plain = matches!(digits.len(), 1 | 2) && digits.bytes().all(|it| it.is_ascii_digit());
        plain.then(|| digits.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// To the second: `2026-11-25T09:30:00+01:00`. Written out, since the library's own formats are a
/// sixth of the component.
fn iso(moment: &Zoned) -> String {
    let (date, time) = (moment.date(), moment.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        offset(moment.offset())
    )
}

/// `+05:45`; with seconds where there are any, as before standard time.
fn offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, all) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match seconds {
        0 => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// `+6.0h` for whole hours, else without zeros at the end: `+5.75h`.
fn difference(from: Offset, to: Offset) -> String {
    let seconds = to.seconds() - from.seconds();
    let hours = f64::from(seconds) / 3600.0;
    if seconds % 3600 == 0 {
        return format!("{hours:+.1}h");
    }
    let text = format!("{hours:+.2}");
    format!("{}h", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn shown(result: &TimeResult) -> String {
        let dst = if result.is_dst { " dst" } else { "" };
        format!("{} {}{dst}", result.datetime, result.day_of_week)
    }

    #[test]
    fn a_moment_is_shown_as_the_clocks_there_show_it() {
        for (now, zone, expected) in [
            ("2024-01-01T12:00:00Z", "Europe/Warsaw", "2024-01-01T13:00:00+01:00 Monday"),
            ("2024-07-01T12:00:00Z", "Europe/Warsaw", "2024-07-01T14:00:00+02:00 Monday dst"),
            ("2024-07-01T12:00:00Z", "America/St_Johns", "2024-07-01T09:30:00-02:30 Monday dst"),
            ("2024-01-01T12:00:00.9Z", "Asia/Kathmandu", "2024-01-01T17:45:00+05:45 Monday"),
            ("2024-01-01T12:00:00Z", "UTC", "2024-01-01T12:00:00+00:00 Monday"),
            // Half an hour of daylight saving time, and the far side of the date line.
            ("2024-01-01T12:00:00Z", "Australia/Lord_Howe", "2024-01-01T23:00:00+11:00 Monday dst"),
            ("2024-01-01T12:00:00Z", "Pacific/Kiritimati", "2024-01-02T02:00:00+14:00 Tuesday"),
            // Beyond the transitions that are listed.
            ("2090-07-01T12:00:00Z", "Europe/Paris", "2090-07-01T14:00:00+02:00 Saturday dst"),
            ("1880-01-01T12:00:00Z", "Europe/Amsterdam", "1880-01-01T12:17:30+00:17:30 Thursday"),
        ] {
            let result = at(moment(now), zone).expect(zone);
            assert_eq!((shown(&result).as_str(), &*result.timezone), (expected, zone));
        }
    }

    #[test]
    fn a_time_of_today_is_converted() {
        for (now, source, time, target, expected) in [
            (
                "2024-01-01T00:00:00Z",
                "Europe/Warsaw",
                "12:00",
                "Europe/London",
                "2024-01-01T11:00:00+00:00 Monday -1.0h",
            ),
            (
                "2024-06-01T00:00:00Z",
                "America/New_York",
                "23:59",
                "Asia/Kathmandu",
                "2024-06-01T09:44:00+05:45 Saturday +9.75h",
            ),
            (
                "2024-01-01T00:00:00Z",
                "UTC",
                "9:5",
                "Asia/Kolkata",
                "2024-01-01T14:35:00+05:30 Monday +5.5h",
            ),
            (
                "2024-01-01T00:00:00Z",
                "UTC",
                "00:00",
                "UTC",
                "2024-01-01T00:00:00+00:00 Monday +0.0h",
            ),
            // Twice that night: the first is meant.
            (
                "2024-10-27T10:00:00Z",
                "Europe/Berlin",
                "02:30",
                "UTC",
                "2024-10-27T00:30:00+00:00 Sunday -2.0h",
            ),
        ] {
            let it = between(moment(now), source, time, target).expect(time);
            assert_eq!(format!("{} {}", shown(&it.target), it.time_difference), expected);
        }
    }

    #[test]
    fn today_is_the_source_s() {
        let it =
            between(moment("2024-03-31T23:30:00Z"), "Asia/Tokyo", "08:00", "UTC").expect("a time");
        assert_eq!(it.source.datetime, "2024-04-01T08:00:00+09:00");
    }

    #[test]
    fn what_is_no_time_zone_or_no_time_is_an_error() {
        let now = moment("2024-03-31T10:00:00Z");
        for (source, time, target, says) in [
            (
                "Mars/Base",
                "10:00",
                "UTC",
                "Invalid timezone: no time zone found with key \"Mars/Base\"; a name",
            ),
            ("europe/warsaw", "10:00", "UTC", "did you mean \"Europe/Warsaw\"?"),
            ("UTC", "10:00", "", "Missing required argument: target_timezone"),
            ("UTC", "24:00", "UTC", "Invalid time format. Expected HH:MM [24-hour format]"),
            ("UTC", "10:60", "UTC", "Invalid time format"),
            ("UTC", "10", "UTC", "Invalid time format"),
            ("UTC", "+1:00", "UTC", "Invalid time format"),
            ("UTC", " 1:00", "UTC", "Invalid time format"),
            ("UTC", "10:00:00", "UTC", "Invalid time format"),
            (
                "Europe/Warsaw",
                "02:30",
                "UTC",
                "Invalid time: 02:30 does not exist in Europe/Warsaw on 2024-03-31 (skipped by a clock change)",
            ),
        ] {
            let error = between(now, source, time, target).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
