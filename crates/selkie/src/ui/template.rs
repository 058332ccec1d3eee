//! Go templates for `--format`, with Podman's functions. A field that does not exist is an error, as with Go's structs.
//!
//! Go knows lists and tables that are nothing at all. They print as empty ones, and `json` says `null` of them: here they are
//! the lists and tables of the two statics below, told by where they are.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gotmpl::{MissingKey, Template, TemplateError, Value as Data};
use serde_json::Value;

use crate::ui::error::Failure;
use crate::ui::table;

/// Renders `format` once for each of `values`, each with the end of a line; `json` prints them as one array.
pub(crate) fn render(format: &str, command: &str, values: &[Value]) -> Result<String, Failure> {
    if is_json(format) {
        return json(values);
    }
    let template = parse(format, command)?;
    values.iter().map(|value| Ok(execute(&template, command, value)? + "\n")).collect()
}

/// What stands for `null` in a field, by the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Null {
    /// A pointer to nothing: `<nil>`.
    Nothing,
    /// A list that is not there: `[]`.
    List,
    /// A table that is not there: `map[]`.
    Table,
}

static NO_LIST: LazyLock<Arc<[Data]>> = LazyLock::new(|| Arc::from(Vec::new()));
static NO_TABLE: LazyLock<Arc<BTreeMap<Arc<str>, Data>>> = LazyLock::new(Arc::default);

/// An object as a template sees it and as it is printed.
pub(crate) struct Typed {
    /// What `json` prints of it.
    pub(crate) printed: Value,
    /// The same with the fields that are only printed when there is something in them.
    pub(crate) known: Value,
}

/// The same as [`render`], where `null` means of each field what `null` says of its name.
pub(crate) fn render_typed(format: &str, command: &str, objects: &[Typed], null: impl Fn(&str) -> Null) -> Result<String, Failure> {
    let template = parse(format, command)?;
    let one = |object: &Typed| {
        PRINTED.take();
        let data = data(&object.known, Null::Nothing, &null);
        remember(&data, &object.printed);
        Ok(pointers(execute_data(&template, command, &data)?, &object.known) + "\n")
    };
    objects.iter().map(one).collect()
}

thread_local! {
    /// What is printed of tables that a template sees with more in them, by where they are.
    static PRINTED: std::cell::RefCell<BTreeMap<usize, Value>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

fn place(table: &Arc<BTreeMap<Arc<str>, Data>>) -> usize {
    Arc::as_ptr(table).addr()
}

/// Notes what is printed of a table and of those in it.
fn remember(data: &Data, printed: &Value) {
    if let (Data::Map(table), Value::Object(fields)) = (data, printed) {
        PRINTED.with_borrow_mut(|all| all.insert(place(table), printed.clone()));
        for (name, field) in fields {
            if let Some(data) = table.get(name.as_str()) {
                remember(data, field);
            }
        }
    }
}

/// Names a pointer to nothing as Go does: the template library takes it for a value that is missing, which is an error here.
fn pointers(text: String, of: &Value) -> String {
    const MISSING: &str = "<no value>";
    if text.contains(MISSING) && !of.to_string().contains(MISSING) { text.replace(MISSING, "<nil>") } else { text }
}

fn data(value: &Value, own: Null, null: &dyn Fn(&str) -> Null) -> Data {
    match value {
        Value::Null => match own {
            Null::Nothing => Data::Nil,
            Null::List => Data::List(Arc::clone(&NO_LIST)),
            Null::Table => Data::Map(Arc::clone(&NO_TABLE)),
        },
        Value::Bool(value) => Data::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Data::Int(number),
            (None, Some(number)) => Data::Uint(number),
            (None, None) => Data::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Data::from(text.as_str()),
        Value::Array(list) => Data::List(list.iter().map(|value| data(value, Null::Nothing, null)).collect()),
        Value::Object(fields) => {
            Data::Map(Arc::new(fields.iter().map(|(name, value)| (Arc::from(name.as_str()), data(value, null(name), null))).collect()))
        }
    }
}

/// Renders `format` for a list: with `table ` before it in columns under headings, of which those that are not the
/// field's name in capitals are in `headings`.
pub(crate) fn list(format: &str, command: &str, values: &[Value], headings: &[(&str, &str)], heading: bool) -> Result<String, Failure> {
    if is_json(format) {
        return json(values);
    }
    let Some(format) = format.strip_prefix("table ").map(str::trim) else { return render(format, command, values) };
    // Podman takes blanks between fields for columns too.
    let format = &format.replace("}} {{", "}}\t{{");
    let template = parse(format, command)?;
    let mut lines = Vec::with_capacity(values.len() + 1);
    if heading {
        let names =
            values.first().and_then(Value::as_object).map(|object| object.keys().cloned().collect()).unwrap_or_else(|| fields(format));
        let titles = names.into_iter().map(|name| {
            let title =
                headings.iter().find(|(field, _)| *field == name).map_or_else(|| heading_of(&name), |(_, title)| (*title).to_owned());
            (name, Value::String(title))
        });
        lines.push(execute(&template, command, &Value::Object(titles.collect()))?);
    }
    for value in values {
        lines.push(execute(&template, command, value)?);
    }
    let rows: Vec<Vec<String>> = lines.iter().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    Ok(table::layout(&rows))
}

/// Returns the words of a field's name in capitals: `EXIT CODE` of `ExitCode`.
fn heading_of(field: &str) -> String {
    let letters: Vec<char> = field.chars().collect();
    let mut heading = String::with_capacity(field.len() + 2);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let after_word = before.is_some_and(|before| before.is_lowercase());
        let ends_acronym =
            before.is_some_and(|before| before.is_uppercase()) && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_word || ends_acronym) {
            heading.push(' ');
        }
        heading.extend(letter.to_uppercase());
    }
    heading
}

/// Returns whether `format` is a word for JSON and no template.
pub(crate) fn is_json(format: &str) -> bool {
    format.trim() == "json"
}

fn json(values: &[Value]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(values).map_err(|error| Failure::engine(error.to_string()))?;
    Ok(format!("{text}\n"))
}

/// Returns the fields that `format` names, for the headings of an empty list.
fn fields(format: &str) -> Vec<String> {
    format
        .split("{{")
        .skip(1)
        .filter_map(|part| part.split("}}").next())
        .flat_map(|action| action.split(|character: char| !(character.is_alphanumeric() || character == '.')))
        .filter_map(|word| word.strip_prefix('.'))
        .map(|field| field.split('.').next().unwrap_or_default().to_owned())
        .filter(|field| !field.is_empty())
        .collect()
}

fn parse(format: &str, command: &str) -> Result<Template, Failure> {
    // As Podman: escapes of a shell's single quotes are meant.
    let format = format.replace("\\t", "\t").replace("\\n", "\n");
    functions(Template::new(command).missing_key(MissingKey::Error).max_range_iters(1_000_000))
        .parse(&format)
        .map_err(|error| failed(command, &error))
}

fn execute(template: &Template, command: &str, value: &Value) -> Result<String, Failure> {
    let null = |field: &str| if field == "Labels" { Null::Table } else { Null::Nothing };
    execute_data(template, command, &data(value, Null::Nothing, &null))
}

fn execute_data(template: &Template, command: &str, data: &Data) -> Result<String, Failure> {
    template.execute_to_string(data).map_err(|error| failed(command, &error))
}

fn failed(command: &str, error: &TemplateError) -> Failure {
    let text = error.to_string();
    if text.starts_with("template:") { Failure::engine(text) } else { Failure::engine(format!("template: {command}: {text}")) }
}

/// Podman's own functions, beside those that every Go template has.
fn functions(template: Template) -> Template {
    let text = |arguments: &[Data], number: usize| arguments.get(number).map(ToString::to_string).unwrap_or_default();
    let word = move |arguments: &[Data], change: fn(&str) -> String| Ok(Data::from(change(&text(arguments, 0)).as_str()));
    template
        .func("json", |arguments| {
            let value = arguments.first().map(to_json).unwrap_or(Value::Null);
            serde_json::to_string(&value).map(|text| Data::from(text.as_str())).map_err(|error| TemplateError::Exec(error.to_string()))
        })
        // Not Podman's: what its `.Label "NAME"` is rewritten to.
        .func("label", move |arguments| {
            let labels = match arguments.first() {
                Some(Data::Map(fields)) => fields.get("Labels"),
                _ => None,
            };
            Ok(match labels {
                Some(Data::Map(labels)) => labels.get(text(arguments, 1).as_str()).cloned().unwrap_or_else(|| Data::from("")),
                Some(Data::String(_)) => Data::from("LABEL"),
                _ => Data::from(""),
            })
        })
        .func("lower", move |arguments| word(arguments, str::to_lowercase))
        .func("upper", move |arguments| word(arguments, str::to_uppercase))
        .func("title", move |arguments| word(arguments, title))
        .func("join", move |arguments| {
            let words: Vec<String> = match arguments.first() {
                Some(Data::List(list)) => list.iter().map(ToString::to_string).collect(),
                Some(other) => vec![other.to_string()],
                None => Vec::new(),
            };
            Ok(Data::from(words.join(&text(arguments, 1)).as_str()))
        })
        .func("split", move |arguments| {
            let (whole, separator) = (text(arguments, 0), text(arguments, 1));
            // As Go: without a separator every character is a part.
            let parts: Vec<String> = match separator.as_str() {
                "" => whole.chars().map(String::from).collect(),
                separator => whole.split(separator).map(str::to_owned).collect(),
            };
            Ok(Data::List(parts.iter().map(|part| Data::from(part.as_str())).collect()))
        })
        .func("truncate", move |arguments| {
            let length = arguments.get(1).and_then(Data::as_int).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            Ok(Data::from(text(arguments, 0).chars().take(length).collect::<String>().as_str()))
        })
        .func("pad", move |arguments| {
            let blanks = |number: usize| {
                " ".repeat(arguments.get(number).and_then(Data::as_int).map_or(0, |count| usize::try_from(count).unwrap_or(0).min(1000)))
            };
            Ok(Data::from(format!("{}{}{}", blanks(1), text(arguments, 0), blanks(2)).as_str()))
        })
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|character| {
            let upper = start && character.is_alphabetic();
            start = !character.is_alphanumeric();
            if upper { character.to_uppercase().collect::<Vec<_>>() } else { vec![character] }
        })
        .collect()
}

fn to_json(data: &Data) -> Value {
    match data {
        Data::Nil | Data::Function(_) => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Int(value) => Value::from(*value),
        Data::Uint(value) => Value::from(*value),
        Data::Float(value) => Value::from(*value),
        Data::String(value) => Value::String(value.to_string()),
        Data::List(list) if Arc::ptr_eq(list, &NO_LIST) => Value::Null,
        Data::Map(map) if Arc::ptr_eq(map, &NO_TABLE) => Value::Null,
        Data::List(list) => Value::Array(list.iter().map(to_json).collect()),
        Data::Map(map) => PRINTED
            .with_borrow(|all| all.get(&place(map)).cloned())
            .unwrap_or_else(|| Value::Object(map.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(format: &str) -> String {
        let value = json!({"Name": "web", "Caps": ["CAP_KILL", "CAP_CHOWN"], "None": [], "Host": {"Privileged": true}, "Labels": {"b": "2", "a": "1"}});
        render(format, "inspect", &[value]).unwrap_or_else(|failure| failure.line())
    }

    #[test]
    fn render_of_the_articles_field() {
        assert_eq!(one("{{.Host.Privileged}}"), "true\n");
    }

    #[test]
    fn render_of_a_list_is_as_go_prints_it() {
        assert_eq!(one("{{.Caps}} {{.None}} {{len .Caps}}"), "[CAP_KILL CAP_CHOWN] [] 2\n");
    }

    #[test]
    fn render_with_podmans_functions() {
        assert_eq!(
            one("{{upper .Name}} {{join .Caps \",\"}} {{json .Labels}} {{truncate .Name 2}} {{pad .Name 1 1}}|"),
            "WEB CAP_KILL,CAP_CHOWN {\"a\":\"1\",\"b\":\"2\"} we  web |\n"
        );
    }

    #[test]
    fn split_without_a_separator_gives_characters() {
        assert_eq!(one("{{len (split .Name \"\")}} {{split .Name \"e\"}}"), "3 [w b]\n");
    }

    #[test]
    fn render_of_a_field_that_does_not_exist_is_an_error() {
        assert!(one("{{.Nope}}").starts_with("template: inspect"), "{}", one("{{.Nope}}"));
    }

    #[test]
    fn json_of_what_is_not_there_is_null_and_its_text_is_empty() {
        let printed = json!({"Mounts": [], "Caps": null, "Labels": null, "State": {"Pid": 1}});
        let known = json!({"Mounts": [], "Caps": null, "Labels": null, "Size": null, "State": {"Pid": 1, "Health": null}});
        let null = |field: &str| match field {
            "Caps" => Null::List,
            "Labels" => Null::Table,
            _ => Null::Nothing,
        };
        let objects = [Typed { printed, known }];
        let text = |format: &str| render_typed(format, "inspect", &objects, null).unwrap();
        assert_eq!(text("{{.Caps}} {{.Labels}} {{.State.Health}} {{json .Caps}} {{json .Labels}}"), "[] map[] <nil> null null\n");
        let whole = "{\"Mounts\":[],\"Caps\":null,\"Labels\":null,\"State\":{\"Pid\":1}}";
        assert_eq!(text("{{json .}} {{json .State}}"), format!("{whole} {{\"Pid\":1}}\n"));
    }

    #[test]
    fn label_of_a_row_is_a_function() {
        let rows = [json!({"Labels": {"a": "1"}}), json!({"Labels": null})];
        assert_eq!(render("{{label . \"a\"}}{{label . \"b\"}}|", "ps", &rows).unwrap(), "1|\n|\n");
    }

    #[test]
    fn render_of_a_broken_template_says_where() {
        assert!(one("{{.Name").starts_with("template: inspect:1"), "{}", one("{{.Name"));
    }

    #[test]
    fn list_as_a_table_has_headings() {
        let rows = [json!({"ID": "abc", "Names": "web"})];
        let text = list("table {{.ID}}\\t{{.Names}}", "ps", &rows, &[("ID", "CONTAINER ID")], true).unwrap();
        assert_eq!(text, "CONTAINER ID  NAMES\nabc           web\n");
    }

    #[test]
    fn heading_has_the_words_of_the_field() {
        assert_eq!(
            ["Names", "ExitCode", "ID", "ImageID", "CIDFile", "PIDNS"].map(heading_of),
            ["NAMES", "EXIT CODE", "ID", "IMAGE ID", "CID FILE", "PIDNS"]
        );
    }

    #[test]
    fn list_of_nothing_as_a_table_has_headings_too() {
        assert_eq!(list("table {{.Names}}", "ps", &[], &[], true).unwrap(), "NAMES\n");
    }
}
