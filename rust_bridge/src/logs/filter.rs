// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which events are logged: a level, and levels of targets, as in RUST_LOG.

use log::{Level, LevelFilter};

/// Levels of targets that a filter may have.
const RULES_MAX: usize = 32;

pub struct Filter {
    others: LevelFilter,
    /// The longest target first.
    rules: Vec<(String, LevelFilter)>,
}

impl Filter {
    /// None: it is not a list of `level` and `target=level`, or too long. Without a level, that is
    /// "off" if there are rules, else "info".
    pub fn parse(text: &str) -> Option<Filter> {
        let mut others = None;
        let mut rules = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                None if others.is_some() => return None,
                None => others = Some(part.parse().ok()?),
                Some((target, level)) => {
                    let target = target.trim();
                    if target.is_empty() {
                        return None;
                    }
                    rules.push((target.to_owned(), level.trim().parse().ok()?));
                }
            }
        }
        if rules.len() > RULES_MAX {
            return None;
        }
        let default = match rules.is_empty() {
            true => LevelFilter::Info,
            false => LevelFilter::Off,
        };
        rules.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Some(Filter {
            others: others.unwrap_or(default),
            rules,
        })
    }

    pub fn accepts(&self, level: Level, target: &str) -> bool {
        let rule = self.rules.iter().find(|(t, _)| target.starts_with(t));
        level <= rule.map_or(self.others, |(_, level)| *level)
    }

    /// The level above which it accepts nothing.
    pub fn most(&self) -> LevelFilter {
        let levels = self.rules.iter().map(|(_, level)| *level);
        levels.fold(self.others, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_decides() {
        let filter = Filter::parse("warn, a=debug ,a::b=off").unwrap();
        assert!(filter.accepts(Level::Warn, "z") && !filter.accepts(Level::Info, "z"));
        assert!(filter.accepts(Level::Debug, "a::c") && !filter.accepts(Level::Trace, "a"));
        assert!(!filter.accepts(Level::Error, "a::b::c"));
        assert_eq!(filter.most(), LevelFilter::Debug);
    }

    #[test]
    fn without_a_level_the_others_are_off_or_info() {
        assert!(Filter::parse("").unwrap().accepts(Level::Info, "a"));
        let one = Filter::parse("a=trace").unwrap();
        assert!(one.accepts(Level::Trace, "a") && !one.accepts(Level::Error, "b"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["loud", "a=loud", "=info", "info,warn", "a=", "a=b=info"] {
            assert!(Filter::parse(text).is_none(), "{text}");
        }
        assert!(Filter::parse(&"a=info,".repeat(RULES_MAX)).is_some());
        assert!(Filter::parse(&"a=info,".repeat(RULES_MAX + 1)).is_none());
    }
}
