//! Which events somebody wants, by their type. Pure.

use netcomm_core::Text;

/// Which events somebody wants, by their type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Select(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    All,
    Exact(Text),
    Prefix(Text),
}

impl Select {
    /// Events of any type.
    #[must_use]
    pub const fn all() -> Self {
        Self(Kind::All)
    }

    /// Events of this type alone; those that name none are `message`.
    #[must_use]
    pub fn exact(event_type: impl Into<Text>) -> Self {
        Self(Kind::Exact(event_type.into()))
    }

    /// Events whose type begins so.
    #[must_use]
    pub fn prefix(prefix: impl Into<Text>) -> Self {
        Self(Kind::Prefix(prefix.into()))
    }

    /// Whether events of that type are wanted.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Exact(wanted) => wanted == event_type,
            Kind::Prefix(prefix) => event_type.starts_with(&**prefix),
        }
    }
}

/// A type by its name.
impl From<&str> for Select {
    fn from(event_type: &str) -> Self {
        Self::exact(event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_matched_whole_or_by_their_beginning() {
        for (select, yes, no) in [
            (Select::all(), &["", "message", "a"][..], &[][..]),
            (Select::exact("add"), &["add"], &["", "ad", "adds", "Add"]),
            (Select::prefix("user/"), &["user/", "user/add"], &["user", "", "group/user/"]),
            ("message".into(), &["message"], &["x"]),
        ] {
            assert!(yes.iter().all(|event_type| select.matches(event_type)), "{select:?}");
            assert!(!no.iter().any(|event_type| select.matches(event_type)), "{select:?}");
        }
    }
}
