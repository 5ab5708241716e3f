//! The text exposition format 0.0.4, strictly: what is doubtful is an error.

use std::collections::BTreeMap;

pub(crate) type Labels = BTreeMap<String, String>;
pub(crate) type Scrape = BTreeMap<String, Family>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) kind: Kind,
    pub(crate) samples: BTreeMap<Labels, f64>,
    pub(crate) histograms: BTreeMap<Labels, Whole>,
}

/// A histogram with all its lines.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) buckets: Vec<(f64, f64)>,
    pub(crate) sum: f64,
    pub(crate) count: f64,
    parts: u32,
}

pub(crate) fn parse(text: &str) -> Result<Scrape, String> {
    let text = text.strip_suffix('\n').ok_or("the last line does not end")?;
    let mut scrape = Scrape::new();
    let mut helped: Option<&str> = None;
    let mut current: Option<&str> = None;
    for line in text.split('\n') {
        let fail = |why: &str| Err(format!("{why}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("help without a text")?;
            if scrape.contains_key(name) || help.trim() != help || help.is_empty() {
                return fail("help that does not fit");
            }
            helped = Some(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("type without a word")?;
            let kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                "histogram" => Kind::Histogram,
                _ => return fail("no such type"),
            };
            if helped != Some(name) || !is_name(name, true) {
                return fail("type of another name than the help before it");
            }
            let family = Family { kind, samples: BTreeMap::new(), histograms: BTreeMap::new() };
            if scrape.insert(name.to_owned(), family).is_some() {
                return fail("told twice");
            }
            current = Some(name);
        } else {
            let Some((name, family)) = current.and_then(|name| Some((name, scrape.get_mut(name)?))) else {
                return fail("a sample without a type");
            };
            family.take(name, line).map_err(|why| format!("{why}: {line}"))?;
        }
    }
    scrape.iter().try_for_each(|(name, family)| family.check(name))?;
    Ok(scrape)
}

impl Family {
    fn take(&mut self, name: &str, line: &str) -> Result<(), String> {
        let end = line.find(['{', ' ']).ok_or("no value")?;
        let (own, rest) = line.split_at(end);
        let (mut labels, value) = match rest.strip_prefix('{') {
            Some(rest) => read_labels(rest)?,
            None => (Labels::new(), rest),
        };
        let value = value.strip_prefix(' ').ok_or("no space before the value")?;
        let value: f64 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
        let part = own.strip_prefix(name).ok_or("a sample of another name")?;
        if self.kind != Kind::Histogram {
            if !part.is_empty() || self.samples.insert(labels, value).is_some() {
                return Err("a sample that does not fit".to_owned());
            }
            return Ok(());
        }
        let end = labels.remove("le");
        let whole = self.histograms.entry(labels).or_default();
        match (part, end) {
            ("_bucket", Some(end)) => {
                let end = if end == "+Inf" { f64::INFINITY } else { end.parse().map_err(|_| "no end")? };
                if whole.buckets.last().is_some_and(|(last, count)| *last >= end || *count > value) {
                    return Err("buckets do not rise".to_owned());
                }
                whole.buckets.push((end, value));
            }
            ("_sum", None) => (whole.sum, whole.parts) = (value, whole.parts + 1),
            ("_count", None) => (whole.count, whole.parts) = (value, whole.parts + 1),
            _ => return Err("no part of a histogram".to_owned()),
        }
        Ok(())
    }

    fn check(&self, name: &str) -> Result<(), String> {
        for (labels, whole) in &self.histograms {
            let last = whole.buckets.last();
            if whole.parts != 2 || last != Some(&(f64::INFINITY, whole.count)) {
                return Err(format!("{name}{labels:?} is not whole"));
            }
        }
        Ok(())
    }
}

/// Labels behind their opening brace, and what follows the closing one.
fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a quote")?;
        if !is_name(name, false) {
            return Err(format!("`{name}` is no name of a label"));
        }
        let (value, after) = read_value(after)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        match after.as_bytes().first() {
            Some(b',') => rest = &after[1..],
            Some(b'}') => return Ok((labels, &after[1..])),
            _ => return Err("labels do not end".to_owned()),
        }
    }
}

fn read_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('"' | '\\'))) => c,
                _ => return Err("an escape that there is not".to_owned()),
            }),
            c => value.push(c),
        }
    }
    Err("a value without an end".to_owned())
}

fn is_name(text: &str, may_have_colons: bool) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || (may_have_colons && c == ':');
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}
