//! The canonical form of a tag.
//!
//! The rule, in the order in which it is applied: trim; take one leading `#` off; decompose (NFKD); drop combining
//! marks; lower case. What is left is a tag if it is 1 to 64 bytes of alphanumerics, space, `.`, `_` and `-`.
//!
//! What follows from the wording, where one might expect something else:
//!  - Trimming comes first and once: `# litter` gives ` litter`, with its space. White space is Unicode's.
//!  - Only one `#` goes, and only U+0023, for it goes before the decomposition that would turn a full-width `＃` into
//!    one: `##litter` and `＃litter` are invalid.
//!  - The limit is on the canonical form's UTF-8 bytes, not on characters and not on what was written. Decomposition
//!    may lengthen (a Hangul syllable of 3 bytes becomes two or three letters of 3 bytes each) or shorten.
//!  - Combining marks are all of the Unicode category M, also those that spell a vowel or change a consonant:
//!    `कचरा` gives `कचर`, `ゴミ` gives `コミ`, `й` gives `и`. Letters that have no decomposition stay: `đ`, `ł`, `ø`, `ß`.
//!  - Lower case is Unicode's full, language-independent mapping: `İ` gives `i` (its dot is a combining mark), and a
//!    capital sigma that ends a word gives `ς`.
//!  - Alphanumeric is Unicode's alphabetic or numeric, of any script; emoji, joiners and direction marks are neither.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest canonical form, in bytes of UTF-8.
pub const MAX_TAG_BYTES: usize = 64;

/// The canonical form of what a citizen wrote as a tag; none if it is invalid, and then it is skipped.
pub fn canonical_tag(written: &str) -> Option<String> {
    let trimmed = written.trim();
    let bare = trimmed.strip_prefix('#').unwrap_or(trimmed);
    let letters: String = bare.nfkd().filter(|&c| !is_combining_mark(c)).collect();
    let canonical = letters.to_lowercase();
    let valid = (1..=MAX_TAG_BYTES).contains(&canonical.len())
        && canonical
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-'));
    valid.then_some(canonical)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::is_nfkd;

    use super::*;

    #[test]
    fn valid_tags() {
        for (written, canonical) in [
            ("litter", "litter"),
            ("#Litter", "litter"),
            ("  #LITTER\t", "litter"),
            ("\u{a0}litter\u{3000}", "litter"),
            ("broken bench", "broken bench"),
            ("# litter", " litter"),
            ("v2.10_rc-1", "v2.10_rc-1"),
            ("2024", "2024"),
            ("...", "..."),
            ("Đubrište", "đubriste"),
            ("čaša", "casa"),
            ("c\u{30c}as\u{30c}a", "casa"),
            ("Смеће", "смеће"),
            ("Йогурт", "иогурт"),
            ("Straße", "straße"),
            ("DÉCHETS", "dechets"),
            ("İzmir", "izmir"),
            ("ılıca", "ılıca"),
            ("ΔΡΌΜΟΣ", "δρομος"),
            ("ＬＩＴＴＥＲ２", "litter2"),
            ("ﬁre", "fire"),
            ("№5", "no5"),
            ("x²", "x2"),
            ("垃圾", "垃圾"),
            ("ゴミ", "コミ"),
            ("ｺﾞﾐ", "コミ"),
            ("कचरा", "कचर"),
            ("نُفايات", "نفايات"),
            ("פַּח", "פח"),
        ] {
            assert_eq!(canonical_tag(written).as_deref(), Some(canonical), "{written:?}");
        }
    }

    #[test]
    fn hangul_is_left_in_its_letters() {
        let canonical = canonical_tag("쓰레기").unwrap();
        assert_eq!(canonical.chars().count(), 6);
        assert_eq!(canonical.nfc().collect::<String>(), "쓰레기");
    }

    #[test]
    fn invalid_tags() {
        for written in [
            "",
            " ",
            "#",
            " # ",
            "##litter",
            "＃litter",
            "a#b",
            "litter!",
            "a/b",
            "a,b",
            "a\tb",
            "a\nb",
            "\"x\"",
            "<b>",
            "a'b",
            "🗑",
            "litter🗑",
            "\u{200f}פח",
            "a\u{200b}b",
            "\u{301}",
            "½", /* 1⁄2 */
            "a\0",
            "@city",
            "c++",
        ] {
            assert_eq!(canonical_tag(written), None, "{written:?}");
        }
    }

    #[test]
    fn the_limit_is_on_the_bytes_of_the_canonical_form() {
        let cases = [
            ("a".repeat(64), true),
            ("a".repeat(65), false),
            (format!("#{}", "a".repeat(64)), true),
            ("é".repeat(64), true), // 128 bytes written
            ("ж".repeat(32), true),
            ("ж".repeat(33), false),
            ("垃".repeat(21), true),
            ("垃".repeat(22), false),
            ("레".repeat(10), true), // two letters each: 60 bytes
            ("레".repeat(11), false),
        ];
        for (written, valid) in cases {
            assert_eq!(canonical_tag(&written).is_some(), valid, "{written}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_form_keeps_the_rule_and_is_its_own(written in any::<String>()) {
            if let Some(canonical) = canonical_tag(&written) {
                prop_assert!((1..=MAX_TAG_BYTES).contains(&canonical.len()));
                prop_assert!(is_nfkd(&canonical));
                prop_assert_eq!(&canonical.to_lowercase(), &canonical);
                if canonical.trim() == canonical {
                    prop_assert_eq!(canonical_tag(&canonical), Some(canonical));
                }
            }
        }

        #[test]
        fn dressing_a_tag_up_changes_nothing(plain in "[a-z0-9][a-z0-9 ._-]{0,40}[a-z0-9]", spaces in "[ \t\n\u{a0}]{0,3}") {
            let wide: String = plain.chars().map(|c| match c {
                'a'..='z' | '0'..='9' => char::from_u32(c as u32 + 0xfee0).unwrap(),
                other => other,
            }).collect();
            let accented: String = plain.chars().flat_map(|c| [c, '\u{301}']).collect();
            for dressed in [plain.to_uppercase(), format!("#{plain}"), format!("{spaces}#{plain}{spaces}"), wide, accented] {
                prop_assert_eq!(canonical_tag(&dressed), Some(plain.clone()), "{:?}", dressed);
            }
        }
    }
}
