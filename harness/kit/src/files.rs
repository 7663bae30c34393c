//! Where the files of this repository are.

use camino::{Utf8Path, Utf8PathBuf};

/// The root of the checkout that this program was built from.
pub fn root() -> &'static Utf8Path {
    // harness/kit is two below it.
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .and_then(Utf8Path::parent)
        .unwrap_or(Utf8Path::new("."))
}

/// The files that a list of SQL paths means, in order: relative to `folder`, with a `*` in the last part standing for
/// all that match, sorted.
///
/// # Errors
/// A path that cannot be read, or that matches nothing, in words.
pub(crate) fn sql(folder: &Utf8Path, paths: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut scripts = Vec::new();
    for path in paths {
        let path = folder.join(path);
        for file in expand(&path)? {
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            scripts.push((file.to_string(), text));
        }
    }
    Ok(scripts)
}

/// The files that a path means, in which a `*` in the last part stands for all that match, sorted.
///
/// # Errors
/// A folder that cannot be read, or a `*` that matches nothing, in words.
pub(crate) fn expand(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{path}: not the path of a file"));
    };
    let Some((before, after)) = name.split_once('*') else {
        return Ok(vec![path.to_owned()]);
    };
    let entries = folder
        .read_dir_utf8()
        .map_err(|error| format!("{folder}: {error}"))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("{folder}: {error}"))?;
        let name = entry.file_name();
        if name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after) {
            found.push(entry.path().to_owned());
        }
    }
    if found.is_empty() {
        return Err(format!("{path}: matches no file"));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::sql;
    use camino::Utf8Path;

    #[test]
    fn a_star_means_all_that_match_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        for name in ["2.sql", "1.sql", "x.txt"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let texts: Vec<_> = sql(folder, &["*.sql".to_owned()])
            .unwrap()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["1.sql", "2.sql"]);
        let error = sql(folder, &["*.sq".to_owned()]).unwrap_err();
        assert!(error.ends_with("*.sq: matches no file"), "{error}");
        let error = sql(folder, &["3.sql".to_owned()]).unwrap_err();
        assert!(error.contains("3.sql: No such file"), "{error}");
    }
}
