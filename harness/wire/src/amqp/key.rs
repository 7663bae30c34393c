//! Finds out which message a body is, without building a tree of it.

use std::fmt;

use harness_model::name::Key;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Dotted paths into a JSON body, the most wanted first.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPaths(Vec<Vec<String>>);

/// A set of paths is a mask.
type Mask = u64;

impl KeyPaths {
    /// At most 64 paths; more are ignored.
    pub(super) fn new(paths: &[String]) -> Self {
        let split = |path: &String| path.split('.').map(str::to_owned).collect();
        Self(paths.iter().take(64).map(split).collect())
    }

    /// The integer or string that the first path that is there leads to, or the integer that the whole body is.
    ///
    /// A body need not be valid beyond the most wanted path: what can be found is found in a damaged body, too.
    pub(super) fn find(&self, body: &[u8]) -> Option<Key> {
        let body = body.trim_ascii();
        if body
            .first()
            .is_some_and(|&byte| byte == b'-' || byte.is_ascii_digit())
        {
            return serde_json::from_slice::<i128>(body)
                .ok()
                .map(|int| Key::from(int.to_string()));
        }
        if self.0.is_empty() {
            return None;
        }
        let mut best = None;
        let all = Mask::MAX >> (64 - self.0.len());
        let search = Search {
            paths: &self.0,
            best: &mut best,
            mask: all,
            depth: 0,
        };
        // An error ends the search: because the best was found, or because this is as far as the body can be read.
        drop(search.deserialize(&mut serde_json::Deserializer::from_slice(body)));
        best.map(|(_, key)| key)
    }
}

/// A value that the paths in `mask` lead to after `depth` steps.
struct Search<'s> {
    paths: &'s [Vec<String>],
    best: &'s mut Option<(usize, Key)>,
    mask: Mask,
    depth: usize,
}

impl Search<'_> {
    fn members(&self) -> impl Iterator<Item = usize> {
        let mask = self.mask;
        (0..self.paths.len()).filter(move |index| mask >> index & 1 == 1)
    }

    fn found<E: serde::de::Error>(self, key: impl FnOnce() -> Key) -> Result<(), E> {
        let Some(index) = self
            .members()
            .find(|&index| self.paths[index].len() == self.depth)
        else {
            return Ok(());
        };
        if self.best.as_ref().is_none_or(|(best, _)| index < *best) {
            *self.best = Some((index, key()));
        }
        // Nothing better can come.
        if index == 0 {
            Err(E::custom("found"))
        } else {
            Ok(())
        }
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, int: i64) -> Result<(), E> {
        self.found(|| Key::from(int.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<(), E> {
        self.found(|| Key::from(int))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.found(|| Key::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self {
            paths,
            best,
            mask,
            depth,
        } = self;
        while let Some(mask) = map.next_key_seed(Step { paths, mask, depth })? {
            if mask == 0 {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Search {
                    paths,
                    best: &mut *best,
                    mask,
                    depth: depth + 1,
                })?;
            }
        }
        Ok(())
    }
}

/// A key of an object: narrows the mask to the paths that go on through it.
struct Step<'s> {
    paths: &'s [Vec<String>],
    mask: Mask,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Mask;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Mask, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Step<'_> {
    type Value = Mask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Mask, E> {
        let through = |path: &Vec<String>| path.get(self.depth).is_some_and(|step| step == key);
        let narrow = |mask, (index, path)| mask | Mask::from(through(path)) << index;
        Ok(self.mask & self.paths.iter().enumerate().fold(0, narrow))
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPaths;

    #[test]
    fn the_first_path_that_is_there_wins() {
        let paths = KeyPaths::new(&["seq".into(), "report.seq".into(), "report".into(), "a.b.c".into()]);
        for (body, key) in [
            ("17", Some("17")),
            (" -3 \n", Some("-3")),
            ("17 18", None),
            ("3.5", None),
            (r#"{"seq":1}"#, Some("1")),
            (r#"{"seq":-1}"#, Some("-1")),
            (r#"{"seq":"x"}"#, Some("x")),
            (r#"{"seq":18446744073709551615}"#, Some("18446744073709551615")),
            (r#"{"report":{"seq":2},"seq":1}"#, Some("1")),
            (r#"{"report":{"id":5,"seq":2},"analysis":[{"seq":3}]}"#, Some("2")),
            (r#"{"report":4}"#, Some("4")),
            (r#"{"a":{"b":{"c":"deep"}}}"#, Some("deep")),
            (r#"{"s\u0065q":7}"#, Some("7")),
            (r#"{"seq":null,"report":{"seq":2}}"#, Some("2")),
            (r#"{"seq":1.5}"#, None),
            (r#"{"seq":{"seq":1}}"#, None),
            (r#"[{"seq":1}]"#, None),
            (r#"{"seq":8,"rest is missing"#, Some("8")),
            (r#"{"report":{"seq":9},"rest is missing"#, Some("9")),
            ("", None),
            ("null", None),
            ("no JSON", None),
        ] {
            assert_eq!(paths.find(body.as_bytes()).as_deref(), key, "{body}");
        }
        assert_eq!(KeyPaths::default().find(b"{\"seq\":1}"), None);
    }
}
