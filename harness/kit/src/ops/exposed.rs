//! Secrets that stand where they must not, in what a trial has recorded and left.

use std::collections::BTreeMap;

use harness_model::event::Step;
use harness_model::ops::secrets::{EXPOSED, Place, Search, Sighting, exposed, marked};
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::pool::LEASE_LABEL;

use super::{Ops, infra, judged};
use crate::world::lock;

/// How many files are searched by one command: their names have to fit into its arguments.
const FILES: usize = 200;
/// Prints those of its arguments that are files with `$WANTED` in them. An archive is one by its first bytes, whatever its
/// name. Whatever is neither "found" nor "not found" is an error. Counts are written into a pipe: a grep that only says yes
/// or no stops at the first place, and whoever writes to it ends by a signal. What is wanted is a secret, so it is in no argument
/// here either.
const SEARCH: &str = r#"
for file do
    [ -f "$file" ] || continue
    unpack=(cat)
    if [ "$(head -c 2 -- "$file" | od -An -tx1 | tr -d ' ')" = 1f8b ]; then unpack=(gzip -dc); fi
    "${unpack[@]}" <"$file" | LC_ALL=C grep -caF -f <(printf '%s\n' "$WANTED") | cat >/dev/null
    codes="${PIPESTATUS[*]}"
    case $codes in
        '0 0 0') printf '%s\n' "$file" ;;
        '0 1 0') ;;
        *) echo "$file: exit codes $codes" >&2; exit 2 ;;
    esac
done
"#;

impl Ops {
    /// No secret stands in an argument, in what a script said, in a file that it has written and left or an object of the
    /// store (unpacked, if it is an archive) or in their names, or in an image of this trial: its history, its variables,
    /// its layers; as it is, in base64 or percent-encoded.
    ///
    /// # Errors
    /// Fail, rule `secret-exposed`, with every place.
    pub async fn shows_no_secret(&self) -> Outcome {
        let found = exposed(&self.sightings().await?);
        let events: Vec<_> = found.iter().flat_map(|finding| finding.events.clone()).collect();
        judged(found).map_err(|failure| failure.shown_by(events))
    }

    /// Secrets stand in places that are described with these words, and are found in each.
    ///
    /// # Errors
    /// Fail, rule `secret-exposed`, with the places in which none was found.
    pub async fn shows_secrets(&self, places: &[&str]) -> Outcome {
        let found = exposed(&self.sightings().await?);
        let missed: Vec<_> = places
            .iter()
            .filter(|place| !found.iter().any(|finding| finding.what.contains(**place)))
            .collect();
        if missed.is_empty() {
            return Ok(());
        }
        let found: Vec<_> = found.into_iter().map(|finding| finding.what).collect();
        let what = format!("secrets that stand {missed:?} were not found there, but: {found:#?}");
        Err(Failure::fail(what).rule(EXPOSED))
    }

    /// Every place in which a secret stands.
    async fn sightings(&self) -> Result<Vec<Sighting>, Failure> {
        let site = self.site()?;
        let mut seen = Vec::new();
        let mut see = |secrets: Vec<String>, place, name: String, event| {
            seen.extend(secrets.into_iter().map(|secret| Sighting {
                secret,
                place,
                name: name.clone(),
                event,
            }));
        };
        let mut files = BTreeMap::new();
        for event in self.world.recorder.since(0) {
            match event.step {
                Step::Process { argv, .. } => {
                    let argv = argv.join(" ");
                    see(
                        marked(&argv),
                        Place::Arguments,
                        format!("`{argv}`"),
                        Some(event.n),
                    );
                }
                Step::File { path, .. } => {
                    see(marked(&path), Place::File, path.clone(), Some(event.n));
                    files.insert(path, Place::File);
                }
                _ => {}
            }
        }
        for (name, said) in lock(&site.logs).iter() {
            for line in said.lines() {
                see(marked(line), Place::Log, format!("{name}: {line}"), None);
            }
        }
        for object in self.objects().await? {
            let name = site.redacted(&object);
            see(marked(&name), Place::Object, name, None);
            files.insert(object, Place::Object);
        }
        let paths: Vec<_> = files.keys().map(String::as_str).collect();
        for secret in &site.secrets {
            for (how, form) in secret.forms() {
                for file in self.files_with(&form, &paths).await? {
                    let secrets = vec![format!("{}{how}", secret.name())];
                    let place = files.get(&file).copied().unwrap_or(Place::File);
                    see(secrets, place, site.redacted(&file), None);
                }
            }
        }
        // What was made before the trial cannot hold a password that was made for it.
        let lease = BTreeMap::from([(LEASE_LABEL.to_owned(), lock(&self.world.grant).lease.clone())]);
        let engine = &self.world.engine;
        for image in engine.images_labelled(&lease).await.map_err(infra)? {
            let mut search = Search::new(&site.secrets);
            let read = engine.read_image(&image, |chunk| search.take(chunk));
            read.await.map_err(infra)?;
            see(search.found(), Place::Image, image, None);
        }
        Ok(seen)
    }

    /// The files in which the object store keeps the bytes of its objects, older generations included.
    async fn objects(&self) -> Result<Vec<String>, Failure> {
        let lines = "[ ! -d \"${OBJECT_STORE:-}\" ] || find \"$OBJECT_STORE\" -type f";
        let ran = self.shell(lines).await?;
        if ran.code != 0 {
            return Err(infra(format!("list the objects of the store: {}", ran.out)));
        }
        Ok(ran.out.lines().map(str::to_owned).collect())
    }

    /// Those of the files that are there and have the text in them, unpacked if they are archives.
    async fn files_with(&self, text: &str, files: &[&str]) -> Result<Vec<String>, Failure> {
        let (ops_box, env) = (
            &self.site()?.ops_box,
            BTreeMap::from([("WANTED".to_owned(), text.to_owned())]),
        );
        let mut found = Vec::new();
        for some in files.chunks(FILES) {
            let mut command = vec!["bash", "-c", SEARCH, "search"];
            command.extend(some);
            let ran = ops_box.exec(&command, &env).await.map_err(infra)?;
            if ran.code != 0 {
                return Err(infra(format!("search files for secrets: {}", ran.stderr)));
            }
            found.extend(ran.stdout.lines().map(str::to_owned));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::SEARCH;

    fn search(wanted: &str, files: &[&str]) -> Output {
        let mut command = Command::new("bash");
        command.args(["-c", SEARCH, "search"]).args(files);
        command.env("WANTED", wanted).output().unwrap()
    }

    #[test]
    fn files_are_searched_whatever_they_are() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (plain, packed, other, odd, absent) = (
            path("a b"),
            path("packed"),
            path("-other"),
            path("odd.gz"),
            path("absent"),
        );
        std::fs::write(&plain, b"\0x\npass.word\n").unwrap();
        let many = "pass.word\n".repeat(200_000);
        std::fs::write(&packed, many).unwrap();
        let zipped = Command::new("gzip").args(["-S", ".z", &packed]).status().unwrap();
        assert!(zipped.success());
        let packed = format!("{packed}.z");
        std::fs::write(&other, "passXword").unwrap();
        // A name says nothing: this is no archive, and no error.
        std::fs::write(&odd, "nothing").unwrap();
        let all = [&*plain, &packed, &other, &odd, &absent];
        let found = search("pass.word", &all);
        let said = String::from_utf8_lossy(&found.stderr).into_owned();
        assert_eq!((found.status.code(), &*said), (Some(0), ""));
        assert_eq!(
            String::from_utf8_lossy(&found.stdout),
            format!("{plain}\n{packed}\n")
        );
        assert_eq!(search("-e", &all).stdout, b"");

        let cut = path("cut");
        let whole = std::fs::read(&packed).unwrap();
        std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
        let found = search("pass.word", &[&cut]);
        assert_eq!((found.status.code(), found.stdout), (Some(2), Vec::new()));
    }
}
