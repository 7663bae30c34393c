//! "Did you mean": the known word that is most like a mistyped one.

/// The word of `known` that differs least from `word`, the first of several: at most a third of the characters of
/// `word` may differ, or one in short words, but never all of them.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let near = |edits: usize| edits < length && edits <= (length / 3).max(1);
    let candidates = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate));
    candidates
        .filter(|(edits, _)| near(*edits))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each counted once.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (left.chars().collect(), right.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn edits_are_counted() {
        for (left, right, edits) in [
            ("", "", 0),
            ("port", "port", 0),
            ("", "port", 4),
            ("prot", "port", 1),
            ("ports", "port", 1),
            ("prt", "port", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), edits, "{left} {right}");
            assert_eq!(distance(right, left), edits, "{right} {left}");
        }
    }

    #[test]
    fn only_what_is_alike_is_suggested() {
        let known = ["analysis", "tags", "renderer"];
        assert_eq!(nearest("analysys", known), Some("analysis"));
        assert_eq!(nearest("tasg", known), Some("tags"));
        assert_eq!(nearest("ownership", known), None);
        assert_eq!(nearest("", ["x"]), None);
        assert_eq!(nearest("y", ["x"]), None);
    }
}
