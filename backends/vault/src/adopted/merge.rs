//! One field of a map replaced, and everything beside it left exactly as it is.

use std::collections::BTreeMap;

use keyward_core::SecretValue;
use serde::Deserialize;
use serde_json::value::RawValue;

/// An answer to a read of KV version 2, as far as it is of interest here.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Version<'a>,
}

#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    data: BTreeMap<String, &'a RawValue>,
}

/// The map an answer holds, with one field set to a text. What stands beside it is copied as it was sent: a number that
/// is read and written anew may come back as another one. `None` when there is no such map.
pub(super) fn replaced(answer: &[u8], field: &str, value: &str) -> Option<SecretValue> {
    let mut map = serde_json::from_slice::<Answer<'_>>(answer).ok()?.data.data;
    map.remove(field);
    // Room for the worst case, so that nothing is moved and left behind unwiped.
    let mut body = Vec::with_capacity(answer.len() + ESCAPED * (field.len() + value.len()) + FRAME);
    body.push(b'{');
    serde_json::to_writer(&mut body, field).ok()?;
    body.push(b':');
    serde_json::to_writer(&mut body, value).ok()?;
    for (name, beside) in map {
        body.push(b',');
        serde_json::to_writer(&mut body, &name).ok()?;
        body.push(b':');
        body.extend_from_slice(beside.get().as_bytes());
    }
    body.push(b'}');
    Some(SecretValue::new(body))
}

/// How much longer than its bytes a text is at most: each may become six, as in `\u0001`.
const ESCAPED: usize = 6;
/// Braces, quotes and colon.
const FRAME: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(map: &str, value: &str) -> String {
        let answer = format!(r#"{{"request_id":"r","data":{{"data":{map},"metadata":{{"version":1}}}},"auth":null}}"#);
        let body = replaced(answer.as_bytes(), "api_key", value).expect("a map");
        String::from_utf8(body.expose_secret().to_vec()).expect("text")
    }

    #[test]
    fn no_number_comes_back_as_another() {
        for number in [
            "0.1234567890123456789",
            "0.12345678901234568",
            "1.0e5",
            "1e25",
            "1.10",
            "-0.0",
            "9.9999999999999999e22",
            "123456789012345678901234567890",
            "18446744073709551617",
            r#"{"deep":[0.30000000000000004e0,{"a":1.0}]}"#,
        ] {
            let body = replace(&format!(r#"{{"api_key":"old","beside":{number}}}"#), "new");
            assert_eq!(body, format!(r#"{{"api_key":"new","beside":{number}}}"#));
        }
    }

    #[test]
    fn every_value_and_every_name_arrives() {
        let body = replace(r#"{"a\"b":"x\u0041","api_key":{"was":"no text"},"n":null,"t":[true]}"#, "q\"\\\u{1}é");
        assert_eq!(body, r#"{"api_key":"q\"\\\u0001é","a\"b":"x\u0041","n":null,"t":[true]}"#);
        assert_eq!(replace("{}", "v"), r#"{"api_key":"v"}"#);
    }

    #[test]
    fn what_is_no_map_is_not_replaced() {
        for answer in ["", "{}", r#"{"data":null}"#, r#"{"data":{"data":null}}"#, r#"{"data":{"data":[1]}}"#] {
            assert!(replaced(answer.as_bytes(), "api_key", "new").is_none(), "{answer}");
        }
    }
}
