//! The report as a page that needs nothing else.

use harness_model::verdict::Kind;
use maud::{DOCTYPE, html};

use super::super::history::Line;
use super::super::{Suspect, Sweep};
use super::{cell, facts, rows, told};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
.strip { display: flex; flex-wrap: wrap; gap: 1px; list-style: none; padding: 0 }
.strip li { width: .7rem; text-align: center; font: .7rem/1.2 monospace }
.pass { background: #8fbc8f; color: #000 } .fail { background: #b22222; color: #fff } .other { background: #bbb; color: #000 }
";

/// The report as a page.
pub(crate) fn page(
    sweep: &Sweep,
    history: &[Line],
    notes: &[String],
    place: &dyn Fn(&Suspect) -> String,
) -> String {
    let class = |verdict: &Kind| match verdict {
        Kind::Pass => "pass",
        Kind::Fail | Kind::Hang => "fail",
        _ => "other",
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sweep " (sweep.seed) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Sweep" }
                @for fact in facts(sweep, notes) { p { (fact) } }
                @for row in rows(sweep, history) {
                    section {
                        h2 { (row.name) " (" (row.class.word()) ")" }
                        p { (told(row.counts)) }
                        ol.strip aria-label={ "trials of " (row.name) } {
                            @for verdict in &row.strip {
                                li class=(class(verdict)) title=(verdict.word()) { (cell(*verdict)) }
                            }
                        }
                        pre { (row.lines(place).join("\n")) }
                    }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sweep;
    use super::page;

    #[test]
    fn the_page_says_what_the_text_says() {
        let mut sweep = sweep(6, 2);
        sweep.revision = "<b>".to_owned();
        let text = page(&sweep, &[], &[], &|_| String::new());
        for part in [
            "revision &lt;b&gt;",
            "varied: seed, latency",
            "shard 2 is missing",
            "no trial of a::c was run",
            "first failure: trial 7, seed 47, latency 7 ms",
            "held by a quarantine: 1 of 2 failures",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
