//! A good answer, made from the topology's template and the request.
//!
//! | in the template | in the answer |
//! |---|---|
//! | the text `$/pointer` | that part of the request (JSON pointer, RFC 6901), whatever its type |
//! | a list of one table with the field `$each = "/pointer"` | one such table, without that field, for each item of that list |
//! | the text `$` within such a table | the item; of the innermost such table, where they are nested |
//! | anything else | itself |
//!
//! Pure. A template that does not fit the request is an error that says where: the answer is then a 500, so that nobody
//! takes a wrong topology for a service that misbehaves.

use serde_json::{Map, Value};

/// The field that makes a table stand for many.
const EACH: &str = "$each";

/// The answer to `request`.
///
/// # Errors
/// What the template asks for and the request lacks, as one line.
pub(super) fn answer(template: &Value, request: &Value) -> Result<Value, String> {
    fill(template, request, None)
}

fn fill(template: &Value, request: &Value, item: Option<&Value>) -> Result<Value, String> {
    match template {
        Value::String(text) if text == "$" => item
            .cloned()
            .ok_or_else(|| format!("`$` is within no table with `{EACH}`")),
        Value::String(text) => match text.strip_prefix('$') {
            Some(pointer) if pointer.starts_with('/') => part(request, pointer).cloned(),
            _ => Ok(template.clone()),
        },
        Value::Array(list) => match list.iter().find_map(|value| value.get(EACH)) {
            Some(pointer) => repeat(list, pointer, request),
            None => list.iter().map(|value| fill(value, request, item)).collect(),
        },
        Value::Object(table) if table.contains_key(EACH) => {
            Err(format!("a table with `{EACH}` is in no list"))
        }
        Value::Object(table) => fields(table, request, item),
        _ => Ok(template.clone()),
    }
}

fn repeat(list: &[Value], pointer: &Value, request: &Value) -> Result<Value, String> {
    let [Value::Object(table)] = list else {
        return Err(format!("a table with `{EACH}` is not alone in its list"));
    };
    let pointer = pointer
        .as_str()
        .ok_or_else(|| format!("`{EACH}` is no text but {pointer}"))?;
    let items = part(request, pointer)?;
    let items = items
        .as_array()
        .ok_or_else(|| format!("the request has no list at `{pointer}` but {items}"))?;
    items
        .iter()
        .map(|item| fields(table, request, Some(item)))
        .collect()
}

fn fields(table: &Map<String, Value>, request: &Value, item: Option<&Value>) -> Result<Value, String> {
    let fields = table.iter().filter(|(name, _)| *name != EACH);
    fields
        .map(|(name, value)| Ok((name.clone(), fill(value, request, item)?)))
        .collect()
}

fn part<'a>(request: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    request
        .pointer(pointer)
        .ok_or_else(|| format!("the request has nothing at `{pointer}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::answer;

    fn request() -> Value {
        json!({"seq": 7, "text": "wet leaves", "none": null, "report": {"team": 2, "a/b": true},
               "languages": ["en", "de"], "pairs": [{"n": 1}, {"n": 2}], "empty": []})
    }

    #[test]
    fn templates_are_filled_from_the_request() {
        for (template, expected) in [
            (json!(1.5), json!(1.5)),
            (json!(null), json!(null)),
            (json!("$/seq"), json!(7)),
            (json!("$/none"), json!(null)),
            (json!("$/report/a~1b"), json!(true)),
            (json!("$/languages/1"), json!("de")),
            (json!({"a": "$/report"}), json!({"a": {"team": 2, "a/b": true}})),
            (json!(["$/seq", "x"]), json!([7, "x"])),
            (json!("$5"), json!("$5")),
            (json!("is $/seq"), json!("is $/seq")),
            (json!(""), json!("")),
            (
                json!({"all": [{"$each": "/languages", "language": "$", "seq": "$/seq", "ok": true}]}),
                json!({"all": [{"language": "en", "seq": 7, "ok": true}, {"language": "de", "seq": 7, "ok": true}]}),
            ),
            (
                json!([{"$each": "/pairs", "pair": "$"}]),
                json!([{"pair": {"n": 1}}, {"pair": {"n": 2}}]),
            ),
            (json!([{"$each": "/empty", "x": "$/gone"}]), json!([])),
            (
                json!([{"$each": "/pairs", "in": [{"$each": "/languages", "to": "$"}], "of": "$"}]),
                json!([{"in": [{"to": "en"}, {"to": "de"}], "of": {"n": 1}},
                       {"in": [{"to": "en"}, {"to": "de"}], "of": {"n": 2}}]),
            ),
            (
                json!([{"$each": "/languages", "deep": {"er": ["$"]}}]),
                json!([{"deep": {"er": ["en"]}}, {"deep": {"er": ["de"]}}]),
            ),
        ] {
            assert_eq!(answer(&template, &request()), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_the_request_lacks_is_said() {
        for (template, said) in [
            (json!("$/gone"), "the request has nothing at `/gone`"),
            (json!({"a": [["$/seq/x"]]}), "the request has nothing at `/seq/x`"),
            (json!("$"), "`$` is within no table with `$each`"),
            (json!([{"$each": "/gone"}]), "the request has nothing at `/gone`"),
            (
                json!([{"$each": "/seq"}]),
                "the request has no list at `/seq` but 7",
            ),
            (json!([{"$each": 1}]), "`$each` is no text but 1"),
            (
                json!([{"$each": "/languages"}, {}]),
                "a table with `$each` is not alone in its list",
            ),
            (
                json!([{}, {"$each": "/languages"}]),
                "a table with `$each` is not alone in its list",
            ),
            (
                json!({"$each": "/languages"}),
                "a table with `$each` is in no list",
            ),
        ] {
            assert_eq!(answer(&template, &request()), Err(said.to_owned()), "{template}");
        }
        let item = json!([{"$each": "/languages", "x": "$/gone"}]);
        assert_eq!(
            answer(&item, &request()),
            Err("the request has nothing at `/gone`".to_owned())
        );
    }
}
