//! What all pages have in common: their head, their looks, and that nothing on them is loaded or runs.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Looks, in light, dark and print.
const STYLE: &str = include_str!("page.css");

/// Nothing is loaded and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A whole page with this title. Whoever uses the keyboard can skip what is before the element called `first`.
pub(crate) fn page(title: &str, first: &str, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href={ "#" (first) } { "Skip to the " (first) }
                main { (main) }
            }
        }
    };
    page.into_string() + "\n"
}

/// How many of each kind there are, in words and as shares of a bar: number, word and look of each.
pub(crate) fn counts<'a>(counts: impl Iterator<Item = (usize, &'a str, &'a str)> + Clone) -> Markup {
    html! {
        p.counts { @for (n, word, look) in counts.clone() { span class={ "badge " (look) } { (n) " " (word) } " " } }
        div.share aria-hidden="true" { @for (n, _, look) in counts { i class=(look) style={ "flex-grow:" (n) } {} } }
    }
}
