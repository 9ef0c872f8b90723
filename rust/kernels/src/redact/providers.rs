//! The published formats of keys: a prefix, the characters that follow, and how many at least.

/// Characters that a key may go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Alphanumeric,
    /// `A-Z` and `0-9`.
    Upper,
    /// Letters, digits, `_` and `-`.
    Word,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits, `_`, `-`, `+`, `/` and `=`.
    Base64,
    Hex,
}

impl Tail {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'='),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

/// One published format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provider {
    pub(super) prefix: &'static str,
    pub(super) tail: Tail,
    pub(super) least: usize,
    pub(super) rule: &'static str,
}

const fn key(prefix: &'static str, tail: Tail, least: usize, rule: &'static str) -> Provider {
    Provider { prefix, tail, least, rule }
}

/// Formats whose prefix begins a word. A longer prefix stands before a shorter one that it begins with.
pub(super) const PROVIDERS: &[Provider] = &[
    key("1//0", Tail::Word, 30, "gcp"),
    key("A3T", Tail::Upper, 17, "aws"),
    key("ABIA", Tail::Upper, 16, "aws"),
    key("ACCA", Tail::Upper, 16, "aws"),
    key("AGE-SECRET-KEY-1", Tail::Upper, 58, "age"),
    key("AIza", Tail::Word, 35, "gcp"),
    key("AKIA", Tail::Upper, 16, "aws"),
    key("ASIA", Tail::Upper, 16, "aws"),
    key("ATATT3", Tail::Base64, 40, "atlassian"),
    key("ATCTT3", Tail::Base64, 40, "atlassian"),
    key("EAAC", Tail::Alphanumeric, 60, "meta"),
    key("EAAAE", Tail::Word, 56, "square"),
    key("GOCSPX-", Tail::Word, 24, "gcp"),
    key("NRAK-", Tail::Upper, 27, "newrelic"),
    key("PMAK-", Tail::Word, 40, "postman"),
    key("SK", Tail::Hex, 32, "twilio"),
    key("aio_", Tail::Alphanumeric, 28, "adafruit"),
    key("ccipat_", Tail::Word, 40, "circleci"),
    key("dapi", Tail::Hex, 32, "databricks"),
    key("dckr_pat_", Tail::Word, 24, "docker"),
    key("doo_v1_", Tail::Hex, 64, "digitalocean"),
    key("dop_v1_", Tail::Hex, 64, "digitalocean"),
    key("dor_v1_", Tail::Hex, 64, "digitalocean"),
    key("figd_", Tail::Word, 36, "figma"),
    key("fo1_", Tail::Word, 40, "flyio"),
    key("gho_", Tail::Alphanumeric, 36, "github"),
    key("ghp_", Tail::Alphanumeric, 36, "github"),
    key("ghr_", Tail::Alphanumeric, 36, "github"),
    key("ghs_", Tail::Alphanumeric, 36, "github"),
    key("ghu_", Tail::Alphanumeric, 36, "github"),
    key("github_pat_", Tail::Word, 36, "github"),
    key("glagent-", Tail::Word, 20, "gitlab"),
    key("glcbt-", Tail::Word, 20, "gitlab"),
    key("gldt-", Tail::Word, 20, "gitlab"),
    key("glft-", Tail::Word, 20, "gitlab"),
    key("gloas-", Tail::Word, 20, "gitlab"),
    key("glpat-", Tail::Dotted, 20, "gitlab"),
    key("glptt-", Tail::Word, 20, "gitlab"),
    key("glrt-", Tail::Word, 20, "gitlab"),
    key("glsa_", Tail::Word, 32, "grafana"),
    key("glc_", Tail::Base64, 32, "grafana"),
    key("gsk_", Tail::Alphanumeric, 40, "groq"),
    key("hf_", Tail::Alphanumeric, 30, "huggingface"),
    key("api_org_", Tail::Alphanumeric, 30, "huggingface"),
    key("key-", Tail::Hex, 32, "mailgun"),
    key("lin_api_", Tail::Alphanumeric, 32, "linear"),
    key("npm_", Tail::Alphanumeric, 36, "npm"),
    key("nvapi-", Tail::Word, 40, "nvidia"),
    key("ntn_", Tail::Alphanumeric, 40, "notion"),
    key("pat", Tail::Dotted, 76, "airtable"),
    key("pplx-", Tail::Alphanumeric, 40, "perplexity"),
    key("pscale_oauth_", Tail::Dotted, 32, "planetscale"),
    key("pscale_pw_", Tail::Dotted, 32, "planetscale"),
    key("pscale_tkn_", Tail::Dotted, 32, "planetscale"),
    key("pul-", Tail::Hex, 40, "pulumi"),
    key("pypi-", Tail::Word, 50, "pypi"),
    key("r8_", Tail::Alphanumeric, 32, "replicate"),
    key("rk_live_", Tail::Alphanumeric, 16, "stripe"),
    key("rk_test_", Tail::Alphanumeric, 16, "stripe"),
    key("rubygems_", Tail::Hex, 48, "rubygems"),
    key("sbp_", Tail::Hex, 40, "supabase"),
    key("secret_", Tail::Alphanumeric, 43, "notion"),
    key("shpat_", Tail::Hex, 32, "shopify"),
    key("shpca_", Tail::Hex, 32, "shopify"),
    key("shppa_", Tail::Hex, 32, "shopify"),
    key("shpss_", Tail::Hex, 32, "shopify"),
    key("sk-ant-", Tail::Word, 24, "anthropic"),
    key("sk-or-", Tail::Word, 40, "openrouter"),
    key("sk-", Tail::Word, 20, "openai"),
    key("sk_live_", Tail::Alphanumeric, 16, "stripe"),
    key("sk_test_", Tail::Alphanumeric, 16, "stripe"),
    key("sntrys_", Tail::Base64, 40, "sentry"),
    key("sq0atp-", Tail::Word, 22, "square"),
    key("sq0csp-", Tail::Word, 40, "square"),
    key("tfp_", Tail::Word, 40, "typeform"),
    key("whsec_", Tail::Base64, 24, "stripe"),
    key("xai-", Tail::Alphanumeric, 60, "xai"),
    key("xapp-", Tail::Word, 20, "slack"),
    key("xoxa-", Tail::Word, 20, "slack"),
    key("xoxb-", Tail::Word, 20, "slack"),
    key("xoxc-", Tail::Word, 20, "slack"),
    key("xoxd-", Tail::Base64, 20, "slack"),
    key("xoxe-", Tail::Word, 20, "slack"),
    key("xoxp-", Tail::Word, 20, "slack"),
    key("xoxr-", Tail::Word, 20, "slack"),
    key("xoxs-", Tail::Word, 20, "slack"),
];

/// Formats whose prefix ends right before a run of key characters, because it holds a `.`, a `:` or a `~`.
pub(super) const BEHIND: &[Provider] = &[
    key("SG.", Tail::Dotted, 40, "sendgrid"),
    key("ya29.", Tail::Dotted, 20, "gcp"),
    key("hvs.", Tail::Word, 24, "vault"),
    key("hvb.", Tail::Word, 24, "vault"),
    key("hooks.slack.", Tail::Base64, 36, "slack"),
    key("dp.pt.", Tail::Alphanumeric, 40, "doppler"),
    key("dp.st.", Tail::Dotted, 40, "doppler"),
    key("xoxe.", Tail::Word, 20, "slack"),
];

/// Hashes of the first three bytes of the prefixes: a text that begins otherwise begins no key.
const BEGINNINGS: [bool; 4096] = {
    let mut table = [false; 4096];
    let mut at = 0;
    while at < PROVIDERS.len() {
        let prefix = PROVIDERS[at].prefix.as_bytes();
        if prefix.len() >= 3 {
            table[beginning(prefix[0], prefix[1], prefix[2])] = true;
        } else {
            let mut third = 0;
            while third < 128 {
                table[beginning(prefix[0], prefix[1], third)] = true;
                third += 1;
            }
        }
        at += 1;
    }
    table
};

const fn beginning(first: u8, second: u8, third: u8) -> usize {
    (first as usize * 961 + second as usize * 31 + third as usize) & 4095
}

/// The key that begins exactly at `start`: its end and its rule.
pub(super) fn key_at(text: &[u8], start: usize) -> Option<(usize, &'static str)> {
    let rest = text.get(start..)?;
    let [first, second, third, ..] = rest else { return None };
    if !BEGINNINGS[beginning(*first, *second, *third)] {
        return None;
    }
    let provider = PROVIDERS.iter().find(|each| rest.starts_with(each.prefix.as_bytes()))?;
    let length = tail_length(&rest[provider.prefix.len()..], provider)?;
    Some((start + provider.prefix.len() + length, provider.rule))
}

/// How far the tail of a key reaches; `None` for a tail that is too short, or all of one class as placeholders are.
///
/// A tail that is refused costs a bounded number of bytes, so that repeated prefixes stay linear.
pub(super) fn tail_length(rest: &[u8], provider: &Provider) -> Option<usize> {
    let begun = rest.iter().take(provider.least).take_while(|byte| provider.tail.has(**byte)).count();
    if begun < provider.least || !is_mixed(&rest[..begun.min(LONGEST_JUDGED)], provider.tail) {
        return None;
    }
    Some(begun + rest[begun..].iter().take_while(|byte| provider.tail.has(**byte)).count())
}

const LONGEST_JUDGED: usize = 32;

fn is_mixed(tail: &[u8], class: Tail) -> bool {
    if matches!(class, Tail::Upper | Tail::Hex) {
        return tail.iter().any(|byte| byte != &tail[0]);
    }
    let has = |class: fn(&u8) -> bool| usize::from(tail.iter().any(class));
    let digits = has(u8::is_ascii_digit);
    let joined = digits * has(u8::is_ascii_punctuation);
    has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + digits + joined >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_prefix_stands_before_the_shorter_one_that_it_begins_with() {
        for (at, earlier) in PROVIDERS.iter().enumerate() {
            for later in &PROVIDERS[at + 1..] {
                assert!(
                    !later.prefix.starts_with(earlier.prefix),
                    "{} hides {}",
                    earlier.prefix,
                    later.prefix
                );
            }
        }
    }

    #[test]
    fn rules_are_short_lower_case_names() {
        for provider in PROVIDERS.iter().chain(BEHIND) {
            assert!(provider.rule.len() <= 16 && provider.rule.bytes().all(|byte| byte.is_ascii_lowercase()));
        }
    }
}
