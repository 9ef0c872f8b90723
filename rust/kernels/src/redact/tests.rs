use proptest::prelude::*;

use super::*;

const KEY: [u8; 32] = [7; 32];

fn redacted(text: &str) -> String {
    Redactor::new(KEY).redact_text(text).map_or_else(|| text.into(), |(text, _)| text)
}

fn rules_in(text: &str) -> Vec<&'static str> {
    let mut spans = Vec::new();
    find(text, &mut spans);
    spans.iter().map(|span| span.rule).collect()
}

/// `{"task": text, "steps": [{"tool": "t", "parameters": {name: value}}]}`
fn record(task: &str, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |text: &str| rmp::encode::write_str(&mut bytes, text).unwrap();
    put("task");
    put(task);
    put("steps");
    let mut step = Vec::new();
    rmp::encode::write_array_len(&mut step, 1).unwrap();
    rmp::encode::write_map_len(&mut step, 2).unwrap();
    for text in ["tool", "password"] {
        rmp::encode::write_str(&mut step, text).unwrap();
    }
    rmp::encode::write_str(&mut step, "parameters").unwrap();
    rmp::encode::write_map_len(&mut step, 1).unwrap();
    rmp::encode::write_str(&mut step, name).unwrap();
    rmp::encode::write_str(&mut step, value).unwrap();
    let mut whole = vec![0x82];
    whole.extend(bytes);
    whole.extend(step);
    whole
}

#[test]
fn keys_of_published_formats_are_replaced_wherever_they_stand() {
    let token = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAbC9d");
    for text in [
        token.clone(),
        format!("push failed: remote rejected {token}"),
        format!("https://{token}@github.com/a/b.git"),
        format!("{{\\\"env\\\": \\\"x\\n{token}\\\"}}"),
        format!("GET /login?state=%3D{token}&x=1"),
    ] {
        let after = redacted(&text);
        assert!(!after.contains(&token) && after.contains("[REDACTED:github:"), "{after}");
    }
}

#[test]
fn equal_secrets_get_equal_markers_and_another_key_gets_others() {
    let text = "password=hunter2! and password=hunter2! and password=hunter3!";
    let after = redacted(text);
    let markers: Vec<&str> = after.split("password=").skip(1).map(|part| &part[..28]).collect();
    assert_eq!(markers[0], markers[1]);
    assert_ne!(markers[0], markers[2]);
    assert_ne!(Redactor::new([8; 32]).redact_text(text).unwrap().0, after);
}

#[test]
fn a_private_key_is_replaced_as_a_whole_even_if_its_end_was_cut_off() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKj";
    let whole =
        format!("before -----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY----- after");
    let after = redacted(&whole);
    assert!(after.starts_with("before [REDACTED:private_key:") && after.ends_with("] after"), "{after}");
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{body}");
    assert!(!redacted(&cut).contains("MIIE"));
    let public = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
    assert_eq!(redacted(&public), public);
}

#[test]
fn only_the_password_of_an_address_is_replaced() {
    let after = redacted("cannot reach postgres://app:s3cr3t@db.example.org:5432/orders");
    assert!(after.starts_with("cannot reach postgres://app:[REDACTED:url_password:"), "{after}");
    assert!(after.ends_with("]@db.example.org:5432/orders"), "{after}");
}

#[test]
fn values_beside_names_of_secrets_are_replaced() {
    for text in [
        "DB_PASSWORD=correct7horse",
        "{\"client_secret\": \"x9Kq2mV7pL4t\"}",
        "{\\\"api_key\\\": \\\"x9Kq2mV7pL4t\\\"}",
        "Authorization: Bearer mF_9.B5f-4.1JqM",
        "curl --token x9Kq2mV7pL4tR8wZ3nBd https://example.org",
        "the access token is x9Kq2mV7pL4tR8wZ3nBd.",
        "export AWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
    ] {
        assert_eq!(rules_in(text).len(), 1, "{text} -> {}", redacted(text));
    }
}

#[test]
fn ordinary_text_is_left_as_it_is() {
    for text in [
        "password: required",
        "self.password = get_password(user)",
        "SELECT token_count, primary_key FROM keys WHERE key = 'name'",
        "the token was refused, ask for a new password",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "os.environ['API_KEY'] = ${API_KEY}",
        "Key: value, token=none",
        "https://example.org/a:b/c@d",
        "def authorize(token: str, key: bytes) -> None:",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn values_in_a_record_are_replaced_by_their_names_and_the_schema_is_not_read_as_names() {
    let redactor = Redactor::new(KEY);
    let found = redactor.redact_record(&record("log in", "password", "abc")).unwrap().unwrap();
    assert_eq!(found.secrets, 1);
    let text = String::from_utf8_lossy(&found.record).into_owned();
    assert!(
        text.contains("[REDACTED:password:") && !text.contains("abc") && text.contains("log in"),
        "{text}"
    );
    assert_eq!(redactor.redact_record(&record("log in", "user", "abc")).unwrap(), None);
}

#[test]
fn numbers_under_the_name_of_a_password_and_options_in_lists_are_replaced() {
    let redactor = Redactor::new(KEY);
    let mut value = vec![0x81];
    rmp::encode::write_str(&mut value, "password").unwrap();
    rmp::encode::write_uint(&mut value, 12_345_678).unwrap();
    assert_eq!(redactor.redact_value(&value).unwrap().unwrap().secrets, 1);
    let mut list = vec![0x93];
    for text in ["login", "--password", "abc"] {
        rmp::encode::write_str(&mut list, text).unwrap();
    }
    assert_eq!(redactor.redact_value(&list).unwrap().unwrap().secrets, 1);
}

#[test]
fn deep_and_broken_records_are_refused_without_a_panic() {
    let redactor = Redactor::new(KEY);
    let mut deep = vec![0x91; 100_000];
    deep.push(0xc0);
    assert!(redactor.redact_value(&deep).is_err());
    assert!(redactor.redact_record(&[0x81]).is_err());
}

/// Shapes that made other redactors slow.
fn hostile(length: usize) -> Vec<String> {
    [
        "a",
        "=",
        ":",
        "-",
        "/",
        "key=",
        "key:",
        "password:",
        "password=\"",
        "key:'x",
        "://",
        "a://b:c@",
        "sk-",
        "eyJ",
        "eyJ.eyJ",
        "ghp_",
        "-----BEGIN PRIVATE KEY-----",
        "-----END ",
        "--password ",
        "[REDACTED:",
        "[REDACTED:a:",
        "token ",
        "a1B2",
        "\\n",
        "%3D",
        "SG.",
        "key aB3dE6gH9jK2mN5pQ8rS ",
        "1//0",
        "::",
        "\u{4e2d}",
    ]
    .iter()
    .map(|piece| piece.repeat(length / piece.len() + 1))
    .collect()
}

#[test]
fn the_work_grows_with_the_length_of_the_text() {
    let work = |text: &str| find(text, &mut Vec::new());
    for (small, large) in hostile(2_000).iter().zip(hostile(16_000)) {
        let (before, after) = (work(small), work(&large));
        assert!(after <= 10 * before + 20_000, "{:?}: {before} then {after}", &small[..20.min(small.len())]);
        assert!(
            after <= 200 * large.len(),
            "{:?}: {after} for {}",
            &large[..20.min(large.len())],
            large.len()
        );
    }
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(parts in proptest::collection::vec(piece(), 0..14)) {
        let once = redacted(&parts.concat());
        prop_assert_eq!(redacted(&once), once);
    }

    #[test]
    fn redacting_any_text_twice_changes_nothing(text in "\\PC{0,200}") {
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once);
    }

    #[test]
    fn no_bytes_make_redaction_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Redactor::new(KEY).redact_record(&bytes);
        let _ = Redactor::new(KEY).redact_value(&bytes);
    }

    #[test]
    fn a_redacted_record_is_left_as_it_is(task in piece(), name in "password|token|user|key", value in piece()) {
        let redactor = Redactor::new(KEY);
        if let Some(once) = redactor.redact_record(&record(&task, &name, &value)).unwrap() {
            prop_assert_eq!(redactor.redact_record(&once.record).unwrap(), None);
        }
    }
}

/// Pieces that the rules meet at their borders.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{1,30}",
        "[ =:;,.@/\"'\\\\\\n()\\[\\]-]{1,3}",
        "(password|token|key|api_key|secret|user|--password|--token|bearer |postgres://|https://)",
        Just("ghp_aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zAbC9d".to_owned()),
        Just("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".to_owned()),
        Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n".to_owned()),
        Just("-----END PRIVATE KEY-----".to_owned()),
        Just("[REDACTED:jwt:0123abcd]".to_owned()),
        Just("[REDACTED:".to_owned()),
        Just("12345678:".to_owned()),
        Just("abc8Q~".to_owned()),
        Just("SG.".to_owned()),
    ]
}
