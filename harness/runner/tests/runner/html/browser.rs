//! Pages in a real browser: it is drawn, nothing complains, nothing sticks out, and it opens quickly.
//!
//! Without a browser these tests say so and pass; where the engine is required they fail instead, so that a gate cannot
//! be green without having looked.

use std::fs;
use std::io::{Write as _, stderr};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use harness_runner::config::Settings;
use harness_runner::html;
use tempfile::TempDir;

use super::page::{OPENS, many};
use super::sweep;
use super::told::{Told, lost, run};
use crate::path;

/// What browsers of this family are called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Widths that a page is looked at in.
const WIDTHS: [u32; 2] = [1280, 390];

/// A page in a frame of a given width, and what is seen of it from outside: the page itself runs no script.
const FRAME: &str = r#"<!doctype html><meta charset="utf-8"><style>body{margin:0}iframe{border:0;display:block}</style>
<iframe id="page" width="WIDTH" height="900"></iframe><p id="said"></p><script>
const began = performance.now(), frame = document.getElementById("page");
frame.onload = () => {
  const page = frame.contentDocument, top = page.scrollingElement;
  const height = Math.round(page.body.getBoundingClientRect().height), took = Math.round(performance.now() - began);
  const wide = [...page.body.querySelectorAll("*")].find(part => part.getBoundingClientRect().right > WIDTH + 1
    && !part.closest(".scroll, pre, svg, .ticks"));
  document.getElementById("said").textContent = ["SAID", top.scrollWidth, top.clientWidth, height, took,
    page.querySelectorAll("section.trial").length, wide ? wide.outerHTML.slice(0, 80) : ""].join("|");
};
frame.src = "PAGE";
</script>"#;

/// What was seen of a page.
#[derive(Debug)]
struct Seen {
    scroll_width: u32,
    client_width: u32,
    height: u32,
    took_ms: u32,
    sections: usize,
    sticks_out: String,
    complaints: Vec<String>,
    colours: usize,
    /// The share of the most frequent colour, in percent.
    ground: usize,
}

/// A browser, or the reason why there is none.
fn browser() -> Option<&'static str> {
    let there = |name: &&&str| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|said| said.status.success())
    };
    let found = NAMES.iter().find(there).copied();
    if found.is_none() {
        let required = Settings::from_process().is_ok_and(|settings| settings.require_engine);
        assert!(!required, "none of {} is installed", NAMES.join(", "));
        // Straight to the terminal: what a passed test prints is not shown.
        drop(writeln!(
            stderr(),
            "skipped: none of {} is installed",
            NAMES.join(", ")
        ));
    }
    found
}

struct Look<'a> {
    browser: &'a str,
    place: &'a Utf8Path,
}

impl Look<'_> {
    fn start(&self, args: &[&str]) -> (String, Vec<String>) {
        let profile = format!("--user-data-dir={}/profile", self.place);
        let output = Command::new(self.browser)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--force-device-scale-factor=1",
                "--enable-logging=stderr",
                "--allow-file-access-from-files",
                &profile,
            ])
            .args(args)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        let complaints = log
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned);
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            complaints.collect(),
        )
    }

    fn at(&self, page: &Utf8Path, width: u32) -> Seen {
        let frame = self.place.join(format!("frame-{width}.html"));
        let text = FRAME
            .replace("WIDTH", &width.to_string())
            .replace("PAGE", &format!("file://{page}"));
        fs::write(&frame, text).unwrap();
        let url = format!("file://{frame}");
        let (dom, mut complaints) = self.start(&["--window-size=1400,1000", "--dump-dom", &url]);
        let said = dom
            .rsplit_once("SAID|")
            .unwrap_or_else(|| panic!("the frame said nothing: {dom}"))
            .1;
        let said: Vec<_> = said.split("</p>").next().unwrap().split('|').collect();
        let number = |i: usize| said[i].parse::<u32>().unwrap();
        let picture = self.place.join(format!("{width}.png"));
        let (shot, size) = (
            format!("--screenshot={picture}"),
            format!("--window-size={width},1600"),
        );
        complaints.extend(self.start(&[&shot, &size, &format!("file://{page}")]).1);
        let (colours, ground) = colours(&picture);
        Seen {
            scroll_width: number(0),
            client_width: number(1),
            height: number(2),
            took_ms: number(3),
            sections: said[4].parse().unwrap(),
            sticks_out: said[5..].join("|"),
            complaints,
            colours,
            ground,
        }
    }
}

/// How many colours a picture has, and the share of the most frequent one.
fn colours(picture: &Utf8Path) -> (usize, usize) {
    let file = std::io::BufReader::new(fs::File::open(picture).expect("there is a picture"));
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let size = frame.color_type.samples();
    let mut counts = std::collections::BTreeMap::<&[u8], usize>::new();
    let all = pixels[..frame.buffer_size()].chunks_exact(size);
    let total = all.len();
    for pixel in all {
        *counts.entry(pixel).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    (counts.len(), most * 100 / total.max(1))
}

/// What is wrong with what was seen.
fn wrong(seen: &Seen, sections: usize) -> Vec<String> {
    let mut wrong = seen.complaints.clone();
    if seen.scroll_width > seen.client_width || !seen.sticks_out.is_empty() {
        wrong.push(format!(
            "it is {} wide in {}: {}",
            seen.scroll_width, seen.client_width, seen.sticks_out
        ));
    }
    if seen.colours < 24 || seen.ground > 97 {
        wrong.push(format!(
            "it is empty: {} colours, {} % of one",
            seen.colours, seen.ground
        ));
    }
    if seen.sections != sections || seen.height < 600 {
        wrong.push(format!(
            "it shows {} trials or scenarios, and is {} high",
            seen.sections, seen.height
        ));
    }
    if u128::from(seen.took_ms) > OPENS.as_millis() {
        wrong.push(format!("it opens in {} ms", seen.took_ms));
    }
    wrong
}

fn write(dir: &Utf8Path) -> Utf8PathBuf {
    html::write(dir, &|_| None, None).unwrap().path
}

#[test]
fn a_page_is_drawn_in_both_widths_and_nothing_complains() {
    let Some(browser) = browser() else { return };
    let out = TempDir::new().unwrap();
    let place = path(&out).canonicalize_utf8().unwrap();
    let run = run(&place);
    let (told, finding) = lost();
    told.store(&run, vec![finding]);
    let mut passed = Told::new("flow::happy");
    passed.report(1);
    passed.store(&run, Vec::new());
    let page = write(&run.dir);
    let look = Look {
        browser,
        place: &place,
    };
    for width in WIDTHS {
        let seen = look.at(&page, width);
        assert_eq!(wrong(&seen, 2), [""; 0], "at {width}: {seen:?}");
    }
    // The same eyes see what is bad.
    let bad = place.join("bad.html");
    let text = "<!doctype html><body><section class=trial><p style='width:3000px'>x</p><script>console.error('no')</script>";
    fs::write(&bad, text).unwrap();
    let said = wrong(&look.at(&bad, 390), 1).join("\n");
    for part in ["CONSOLE", "3000", "it is empty", "high"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_page_of_a_sweep_is_drawn_in_both_widths_and_nothing_complains() {
    let Some(browser) = browser() else { return };
    let out = TempDir::new().unwrap();
    let place = path(&out).canonicalize_utf8().unwrap();
    let page = sweep::write(&out, &sweep::sweep());
    let look = Look {
        browser,
        place: &place,
    };
    for width in WIDTHS {
        let seen = look.at(&page, width);
        assert_eq!(wrong(&seen, 8), [""; 0], "at {width}: {seen:?}");
    }
}

#[test]
fn ten_thousand_reports_open_within_two_seconds() {
    let Some(browser) = browser() else { return };
    let out = TempDir::new().unwrap();
    let place = path(&out).canonicalize_utf8().unwrap();
    let run = run(&place);
    let (told, findings) = many();
    told.store(&run, findings);
    let page = write(&run.dir);
    let look = Look {
        browser,
        place: &place,
    };
    for width in WIDTHS {
        let seen = look.at(&page, width);
        assert_eq!(wrong(&seen, 1), [""; 0], "at {width}: {seen:?}");
    }
}
