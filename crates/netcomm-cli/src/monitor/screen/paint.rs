//! Colours, where they are wanted, and numbers as short as they may be: pure.

use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours. Without them what matters is bold, and what is selected is reversed.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Paint(bool);

impl Paint {
    #[cfg(test)]
    pub(in super::super) const fn new(has_colours: bool) -> Self {
        Self(has_colours)
    }

    /// Colours, unless the owner of the terminal has said no (<https://no-color.org>).
    pub(in super::super) fn of_terminal() -> Self {
        Self(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn colour(self, colour: Color) -> Style {
        if self.0 { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.colour(Color::Green)
    }

    pub(super) fn fair(self) -> Style {
        self.colour(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.colour(Color::Red)
    }

    pub(super) fn plain(self) -> Style {
        self.colour(Color::Cyan)
    }

    pub(super) fn faint(self) -> Style {
        self.colour(Color::DarkGray)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// How good a share of 100 is.
    pub(super) fn score(self, score: u8) -> Style {
        match score {
            70.. => self.good(),
            35..=69 => self.fair(),
            _ => self.bad(),
        }
    }
}

/// Bytes in the unit that makes them short.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    // What would be written with four digits before the point.
    while value >= 999.95 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    format!("{value:.1} {}", units[unit])
}

/// A stretch of time for people.
pub(super) fn since(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_023_999, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
        for (seconds, expected) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (75, "1 min 15 s"), (7300, "2 h 1 min")] {
            assert_eq!(since(Duration::from_secs(seconds)), expected);
        }
    }
}
