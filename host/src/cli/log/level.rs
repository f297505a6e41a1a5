//! Which lines the log has.

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::access_line;

/// Reads `DTR_LB_LOG`. `debug` and `trace` are for our own words: what libraries say
/// is shown from `warn` on. A part without a level of its own has the general one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Targets, String> {
    let mut general = None;
    let mut parts: [Option<LevelFilter>; PARTS.len()] = [None; PARTS.len()];
    let text = match text.trim() {
        "" => "info",
        text => text,
    };
    for item in text.split(',').map(str::trim) {
        let (slot, level) = match item.split_once('=') {
            None => (&mut general, item),
            Some((name, level)) => {
                let part = PARTS.iter().position(|part| *part == name.trim_end());
                let part = part.ok_or_else(|| format!("{name:?} is not a part of the log"))?;
                (&mut parts[part], level.trim_start())
            }
        };
        let level = self::level(level).ok_or_else(|| format!("{level:?} is not a level"))?;
        if slot.replace(level).is_some() {
            return Err(format!("{item:?} is the second level for the same"));
        }
    }
    let general = general.unwrap_or(LevelFilter::INFO);
    let targets = Targets::new().with_default(general.min(LevelFilter::WARN));
    let parts = PARTS.into_iter().zip(parts);
    Ok(targets.with_targets(parts.map(|(part, level)| (part, level.unwrap_or(general)))))
}

/// Leaves out the access log, or all but the access log, which go nowhere.
pub(super) fn only(targets: &Targets, part: Part) -> Targets {
    let (access, others): (Vec<_>, Vec<_>) = targets
        .iter()
        .map(|(target, level)| (target.to_owned(), level))
        .partition(|(target, _)| target == access_line::TARGET);
    match part {
        Part::Access => Targets::new().with_targets(access),
        Part::Log => {
            let general = targets.default_level().unwrap_or(LevelFilter::OFF);
            let others = Targets::new().with_default(general).with_targets(others);
            others.with_target(access_line::TARGET, LevelFilter::OFF)
        }
    }
}

/// A part of the log that goes somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Log,
    Access,
}

fn level(name: &str) -> Option<LevelFilter> {
    let mut levels = LEVELS.into_iter();
    let known = levels.find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, level)| level)
}

/// What may stand in `DTR_LB_LOG`.
pub(super) const FORMS: &str = r#"off, error, warn, info, debug or trace, or by part, as in "info,dtr_lb=debug", where the parts are access, balancer, filter and dtr_lb"#;

/// The targets of our own lines.
const PARTS: [&str; 4] = [access_line::TARGET, "balancer", "filter", "dtr_lb"];

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_are_heard_from_warn_on_whatever_is_asked_of_us() {
        let cases = [
            // What is asked, a target, and the finest level it has.
            ("", "access", Some(Level::INFO)),
            ("  ", "dtr_lb::proxy::host", Some(Level::INFO)),
            ("", "cranelift_codegen::context", Some(Level::WARN)),
            ("debug", "balancer", Some(Level::DEBUG)),
            ("debug", "dtr_lb::upstream::dial", Some(Level::DEBUG)),
            ("debug", "cranelift_codegen::context", Some(Level::WARN)),
            ("TRACE", "filter", Some(Level::TRACE)),
            ("trace", "rustls::client", Some(Level::WARN)),
            ("error", "hyper", Some(Level::ERROR)),
            ("off", "dtr_lb", None),
            ("off", "wasmtime", None),
            ("warn,balancer=info", "balancer", Some(Level::INFO)),
            ("warn,balancer=info", "access", Some(Level::WARN)),
            ("balancer=info , Warn", "access", Some(Level::WARN)),
            ("access=off", "access", None),
            ("access=off", "balancer", Some(Level::INFO)),
            ("off,dtr_lb = debug", "dtr_lb::cli", Some(Level::DEBUG)),
            ("off,dtr_lb=debug", "rustls", None),
        ];
        for (text, target, expected) in cases {
            let targets = parse(text).unwrap();
            assert_eq!(finest(&targets, target), expected, "{text:?}: {target}");
        }
    }

    #[test]
    fn a_part_that_goes_nowhere_is_left_out_and_the_other_is_as_it_was() {
        let targets = parse("warn,access=info,balancer=debug").unwrap();
        let cases = [
            (Part::Log, "access", None),
            (Part::Log, "balancer", Some(Level::DEBUG)),
            (Part::Log, "rustls", Some(Level::WARN)),
            (Part::Access, "access", Some(Level::INFO)),
            (Part::Access, "balancer", None),
            (Part::Access, "rustls", None),
        ];
        for (part, target, expected) in cases {
            let targets = only(&targets, part);
            assert_eq!(finest(&targets, target), expected, "{part:?}: {target}");
        }
    }

    fn finest(targets: &Targets, target: &str) -> Option<Level> {
        let mut levels = [
            Level::TRACE,
            Level::DEBUG,
            Level::INFO,
            Level::WARN,
            Level::ERROR,
        ]
        .into_iter();
        levels.find(|level| targets.would_enable(target, level))
    }

    #[test]
    fn whatever_is_mistyped_is_refused_by_name() {
        let cases = [
            ("verbose", r#""verbose" is not a level"#),
            ("WARNING", r#""WARNING" is not a level"#),
            ("info debug", r#""info debug" is not a level"#),
            ("3", r#""3" is not a level"#),
            ("info,", r#""" is not a level"#),
            (",", r#""" is not a level"#),
            ("access=", r#""" is not a level"#),
            ("access=quiet", r#""quiet" is not a level"#),
            ("rustls=debug", r#""rustls" is not a part of the log"#),
            ("dtr_lb::proxy=debug", r#""dtr_lb::proxy" is not a part"#),
            ("Access=info", r#""Access" is not a part"#),
            ("=info", r#""" is not a part"#),
            ("info,debug", r#""debug" is the second level"#),
            ("access=info,access=warn", r#""access=warn" is the second"#),
        ];
        for (text, expected) in cases {
            let problem = parse(text).unwrap_err();
            assert!(problem.starts_with(expected), "{text:?}: {problem}");
        }
    }
}
