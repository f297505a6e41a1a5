//! Texts of others, made fit to be shown.

/// Cuts a text to [`TEXT_LIMIT`] characters and makes control characters visible,
/// so that it can neither break a line of the log nor fill it.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count >= TEXT_LIMIT {
            shown.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Marks that turn the direction of the text around them, and line separators.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A text is cut after this many characters.
pub const TEXT_LIMIT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_its_control_characters_show() {
        let cases = [
            ("plain", "garant: down", "garant: down"),
            ("a new line", "a\nb", r"a\u{a}b"),
            ("the other direction", "a\u{202e}b", r"a\u{202e}b"),
        ];
        for (why, text, expected) in cases {
            assert_eq!(printable(text), expected, "{why}");
        }
        let cut = printable(&"ä".repeat(600));
        assert_eq!(cut.chars().count(), TEXT_LIMIT + 1, "on a character");
        assert!(cut.ends_with('…'), "and it shows");
    }
}
