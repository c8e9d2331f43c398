//! Points in time as git writes them, and those that a user may write.

use gix::date::Time;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY: i64 = 86_400;

/// `Wed Nov 25 09:30:00 2026 +0100`
pub fn long(time: Time) -> String {
    let local = time.seconds + i64::from(time.offset);
    let (year, month, day) = civil(local.div_euclid(DAY));
    let weekday = DAYS[local.div_euclid(DAY).rem_euclid(7) as usize];
    let (month, clock) = (MONTHS[month as usize - 1], clock(local));
    format!("{weekday} {month} {day} {clock} {year} {}", zone(time.offset))
}

/// `2026-11-25 09:30:00 +0100`
pub fn iso(time: Time) -> String {
    let local = time.seconds + i64::from(time.offset);
    let (year, month, day) = civil(local.div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02} {} {}", clock(local), zone(time.offset))
}

/// Seconds since 1970 of `2026-11-25`, `2026-11-25T09:30:00+01:00`, `2 weeks ago`, `yesterday` ..
///
/// Without a zone UTC is meant, without a time of day midnight.
pub fn parse(parameter: &str, text: &str, now: i64) -> Result<i64, String> {
    let text = text.trim();
    absolute(text).or_else(|| relative(&text.to_lowercase(), now)).ok_or_else(|| {
        format!(
            "{parameter}: {text:?} is no time that this tool knows: 2026-11-25, 2026-11-25T09:30:00+01:00, @1764061800, \
             \"2 weeks ago\" or \"yesterday\""
        )
    })
}

fn absolute(text: &str) -> Option<i64> {
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok();
    }
    let number = |text: &str, digits: usize| {
        let plain = text.len() == digits && text.bytes().all(|it| it.is_ascii_digit());
        plain.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let days = days(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let rest = rest.strip_prefix(['T', ' ']).unwrap_or(rest);
    if rest.is_empty() {
        return Some(days * DAY);
    }
    let end = rest.find(|it: char| !it.is_ascii_digit() && it != ':').unwrap_or(rest.len());
    let (clock, rest) = rest.split_at(end);
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |it| number(it, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Parts of seconds do not matter to commits.
    let rest = rest
        .strip_prefix('.')
        .map_or(rest, |it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
    let offset = match rest.trim() {
        "" | "Z" | "z" | "UTC" | "GMT" => 0,
        zone => {
            let digits = zone[1..].replace(':', "");
            let (hours, minutes) = (number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?);
            let seconds = hours * 3600 + minutes * 60;
            match zone.as_bytes()[0] {
                b'+' => seconds,
                b'-' => -seconds,
                _ => return None,
            }
        }
    };
    Some(days * DAY + hour * 3600 + minute * 60 + second - offset)
}

fn relative(text: &str, now: i64) -> Option<i64> {
    let words: Vec<&str> = text.split([' ', '.']).filter(|it| !it.is_empty()).collect();
    match words[..] {
        ["now"] => Some(now),
        ["yesterday"] => Some(now - DAY),
        [count, unit, "ago"] => {
            let count: i64 =
                if matches!(count, "a" | "an" | "one") { 1 } else { count.parse().ok()? };
            let months = |months: i64| {
                let (year, month, day) = civil(now.div_euclid(DAY));
                let all = year * 12 + month - 1 - months;
                let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
                days(year, month, day) * DAY + now.rem_euclid(DAY)
            };
            match unit.strip_suffix('s').unwrap_or(unit) {
                "second" => Some(now - count),
                "minute" => Some(now - count * 60),
                "hour" => Some(now - count * 3600),
                "day" => Some(now - count * DAY),
                "week" => Some(now - count * 7 * DAY),
                "month" => Some(months(count)),
                "year" => Some(months(count * 12)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn clock(local: i64) -> String {
    let seconds = local.rem_euclid(DAY);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn zone(offset: i32) -> String {
    let minutes = offset.unsigned_abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}

/// Year, month and day of a day counted from 1970: in years that begin in March, so that the leap day is
/// the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_git_writes_them() {
        for (seconds, offset, expected) in [
            (0, 0, "Thu Jan 1 00:00:00 1970 +0000"),
            (1_709_164_800, 3600, "Thu Feb 29 01:00:00 2024 +0100"),
            (1_700_000_000, -12_600, "Tue Nov 14 18:43:20 2023 -0330"),
        ] {
            assert_eq!(long(Time { seconds, offset }), expected);
        }
        assert_eq!(iso(Time { seconds: -1, offset: 0 }), "1969-12-31 23:59:59 +0000");
    }

    #[test]
    fn times_are_read_in_the_forms_that_are_told() {
        let now = 1_709_164_800; // 2024-02-29
        for (text, expected) in [
            ("1970-01-02", Some(DAY)),
            ("2024-02-29T00:00:00Z", Some(now)),
            ("2024-02-29 01:00:00 +0100", Some(now)),
            ("2024-02-29T01:00:00.5+01:00", Some(now)),
            ("@17", Some(17)),
            ("2 weeks ago", Some(now - 14 * DAY)),
            ("a month ago", Some(now - 31 * DAY)),
            ("1.day.ago", Some(now - DAY)),
            ("yesterday", Some(now - DAY)),
            ("2023-02-29", None),
            ("tea time", None),
            ("2024-02-29T25:00", None),
        ] {
            assert_eq!(parse("t", text, now).ok(), expected, "{text}");
        }
    }
}
