//! Records of earlier versions stay readable: the JSON below is never changed, only added to.
#![allow(clippy::unwrap_used, reason = "tests")]

use selkie_plan::Request;
use serde_json::Value;

/// A request with a value of every kind.
const RECORD: &str = include_str!("record-1.json");

#[test]
fn record_of_version_1_is_readable_and_stays_the_same() {
    let request: Request = serde_json::from_str(RECORD).unwrap();
    let again = serde_json::to_value(&request).unwrap();
    let recorded: Value = serde_json::from_str(RECORD).unwrap();
    // Fields that came later have their defaults; those that were there have their values.
    assert_contains(&again, &recorded, "request");
}

#[test]
fn record_of_nothing_is_the_default() {
    assert_eq!(serde_json::from_str::<Request>("{}").unwrap(), Request::default());
}

fn assert_contains(whole: &Value, part: &Value, place: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                assert_contains(whole.get(key).unwrap_or(&Value::Null), value, &format!("{place}.{key}"));
            }
        }
        _ => assert_eq!(whole, part, "{place}"),
    }
}
