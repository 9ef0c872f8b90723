"""Synthetic secrets in the published formats of keys, and the texts in which tools show them."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_LOWER = string.ascii_lowercase + string.digits
_UPPER = string.ascii_uppercase + string.digits
_LETTERS = string.ascii_letters + string.digits
_WORD = _LETTERS + "_-"
_BASE64 = _LETTERS + "+/"
_BASE32 = string.ascii_uppercase + "234567"
_HEX = "0123456789abcdef"

Random = random.Random
Make = Callable[[Random], str]


def _chars(alphabet: str, length: int) -> Make:
    return lambda rng: "".join(rng.choices(alphabet, k=length))


def _after(prefix: str, alphabet: str, length: int, suffix: str = "") -> Make:
    make = _chars(alphabet, length)
    return lambda rng: prefix + make(rng) + suffix


def _joined(separator: str, *parts: Make) -> Make:
    return lambda rng: separator.join(part(rng) for part in parts)


def _number(digits: int) -> Make:
    return lambda rng: str(rng.randrange(10 ** (digits - 1), 10**digits))


def _uuid(rng: Random) -> str:
    return "-".join(_chars(_HEX, length)(rng) for length in (8, 4, 4, 4, 12))


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _jwt(rng: Random) -> str:
    head = _encoded({"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"})
    body = _encoded({"sub": _number(9)(rng), "exp": int(_number(10)(rng))})
    return f"{head}.{body}.{_chars(_WORD, 43)(rng)}"


def _pem(rng: Random) -> str:
    label = rng.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
    lines = [_chars(_BASE64, 64)(rng) for _ in range(rng.randrange(3, 20))]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def _password(rng: Random) -> str:
    return _chars(_LETTERS + "!@#%^*_-", rng.randrange(10, 20))(rng)


@dataclass(frozen=True)
class Format:
    """A published format: how to make a key, and the name it usually stands under if one is needed."""

    name: str
    make: Make
    variable: str
    bare: bool = True
    """The format alone says that it is a key."""


FORMATS = [
    Format("aws access key", _after("AKIA", _BASE32, 16), "AWS_ACCESS_KEY_ID"),
    Format("aws session key", _after("ASIA", _BASE32, 16), "AWS_ACCESS_KEY_ID"),
    Format("aws secret key", _chars(_BASE64, 40), "AWS_SECRET_ACCESS_KEY", bare=False),
    Format("gcp api key", _after("AIza", _WORD, 35), "GOOGLE_API_KEY"),
    Format("gcp client secret", _after("GOCSPX-", _WORD, 28), "client_secret"),
    Format("gcp access token", _after("ya29.a0", _WORD, 120), "access_token"),
    Format("github token", _after("ghp_", _LETTERS, 36), "GITHUB_TOKEN"),
    Format("github app token", _after("ghs_", _LETTERS, 36), "GITHUB_TOKEN"),
    Format(
        "github fine-grained",
        lambda rng: "github_pat_" + _chars(_LETTERS, 22)(rng) + "_" + _chars(_LETTERS, 59)(rng),
        "GH_TOKEN",
    ),
    Format("gitlab token", _after("glpat-", _WORD, 20), "GITLAB_TOKEN"),
    Format("gitlab runner", _after("glrt-", _WORD, 20), "CI_RUNNER_TOKEN"),
    Format(
        "slack bot",
        lambda rng: "xoxb-" + _joined("-", _number(12), _number(13), _chars(_LETTERS, 24))(rng),
        "SLACK_TOKEN",
    ),
    Format(
        "slack app",
        lambda rng: "xapp-1-" + _joined("-", _chars(_UPPER, 11), _number(13), _chars(_HEX, 64))(rng),
        "SLACK_APP_TOKEN",
    ),
    Format(
        "slack webhook",
        lambda rng: (
            "hooks.slack.com/services/"
            + _joined("/", _after("T", _UPPER, 10), _after("B", _UPPER, 10), _chars(_LETTERS, 24))(rng)
        ),
        "SLACK_WEBHOOK_URL",
    ),
    Format("stripe secret", _after("sk_live_", _LETTERS, 24), "STRIPE_SECRET_KEY"),
    Format("stripe restricted", _after("rk_test_", _LETTERS, 99), "STRIPE_KEY"),
    Format("stripe webhook", _after("whsec_", _LETTERS, 32), "STRIPE_WEBHOOK_SECRET"),
    Format("openai project", _after("sk-proj-", _WORD, 120), "OPENAI_API_KEY"),
    Format("openai", _after("sk-", _LETTERS, 48), "OPENAI_API_KEY"),
    Format("anthropic", _after("sk-ant-api03-", _WORD, 93, "AA"), "ANTHROPIC_API_KEY"),
    Format("npm", _after("npm_", _LETTERS, 36), "NPM_TOKEN"),
    Format("pypi", _after("pypi-AgEIcHlwaS5vcmc", _WORD, 150), "TWINE_PASSWORD"),
    Format(
        "sendgrid", lambda rng: f"SG.{_chars(_WORD, 22)(rng)}.{_chars(_WORD, 43)(rng)}", "SENDGRID_API_KEY"
    ),
    Format("twilio key", _after("SK", _HEX, 32), "TWILIO_API_KEY"),
    Format("twilio auth token", _chars(_HEX, 32), "TWILIO_AUTH_TOKEN", bare=False),
    Format("azure storage", lambda rng: _chars(_BASE64, 86)(rng) + "==", "AccountKey", bare=False),
    Format(
        "azure client secret",
        lambda rng: f"{_chars(_LETTERS, 3)(rng)}8Q~{_chars(_WORD, 34)(rng)}",
        "AZURE_CLIENT_SECRET",
    ),
    Format("hugging face", _after("hf_", _LETTERS, 34), "HF_TOKEN"),
    Format("mailgun", _after("key-", _HEX, 32), "MAILGUN_API_KEY"),
    Format("mailchimp", _after("", _HEX, 32, "-us12"), "MAILCHIMP_API_KEY", bare=False),
    Format("digitalocean", _after("dop_v1_", _HEX, 64), "DIGITALOCEAN_TOKEN"),
    Format("shopify", _after("shpat_", _HEX, 32), "SHOPIFY_TOKEN"),
    Format("docker", _after("dckr_pat_", _WORD, 27), "DOCKER_PASSWORD"),
    Format("vault", _after("hvs.", _WORD, 90), "VAULT_TOKEN"),
    Format("databricks", _after("dapi", _HEX, 32), "DATABRICKS_TOKEN"),
    Format("heroku", _uuid, "HEROKU_API_KEY", bare=False),
    Format("datadog", _chars(_HEX, 32), "DD_API_KEY", bare=False),
    Format("cloudflare", _chars(_WORD, 40), "CLOUDFLARE_API_TOKEN", bare=False),
    Format("telegram", lambda rng: f"{_number(10)(rng)}:AA{_chars(_WORD, 33)(rng)}", "BOT_TOKEN"),
    Format(
        "grafana", lambda rng: f"glsa_{_chars(_LETTERS, 32)(rng)}_{_chars(_HEX, 8)(rng)}", "GRAFANA_TOKEN"
    ),
    Format("linear", _after("lin_api_", _LETTERS, 40), "LINEAR_API_KEY"),
    Format("groq", _after("gsk_", _LETTERS, 52), "GROQ_API_KEY"),
    Format("replicate", _after("r8_", _LETTERS, 37), "REPLICATE_API_TOKEN"),
    Format("jwt", _jwt, "access_token"),
    Format("private key", _pem, "SSH_PRIVATE_KEY"),
    Format("password", _password, "DB_PASSWORD", bare=False),
]


def _in_sentence(secret: str, variable: str) -> Any:
    return f"request failed, the server did not accept {secret} for this project"


def _in_environment(secret: str, variable: str) -> Any:
    return f"PATH=/usr/bin\n{variable}={secret}\nHOME=/root"


def _in_json_text(secret: str, variable: str) -> Any:
    return json.dumps({"region": "eu", variable: secret, "retries": 3})


def _in_escaped_json(secret: str, variable: str) -> Any:
    return json.dumps({"body": json.dumps({variable.lower(): secret})})


def _in_mapping(secret: str, variable: str) -> Any:
    return {"config": {"region": "eu", variable.lower(): secret}}


def _in_yaml(secret: str, variable: str) -> Any:
    return f"region: eu\n{variable.lower()}: '{secret}'\n"


def _in_code(secret: str, variable: str) -> Any:
    return f'client = connect(region="eu", {variable.lower()}="{secret}")'


_BESIDE_A_NAME = [_in_environment, _in_json_text, _in_escaped_json, _in_mapping, _in_yaml, _in_code]


def secrets(count: int, seed: int) -> Iterator[tuple[str, str, Any]]:
    """`count` triples of a format's name, a secret, and a value that holds it; some are passwords of addresses."""
    rng = Random(seed)
    for number in range(count):
        if number % 12 == 11:
            scheme = rng.choice(["postgres", "postgresql", "mysql", "mongodb+srv", "redis", "amqp", "https"])
            password = _chars(_LETTERS + "!$*-_", rng.randrange(8, 20))(rng)
            yield "address", password, f"cannot reach {scheme}://app:{password}@db.example.org:5432/orders"
            continue
        form = FORMATS[number % len(FORMATS)] if number < len(FORMATS) else rng.choice(FORMATS)
        contexts = [*_BESIDE_A_NAME, _in_sentence] if form.bare else _BESIDE_A_NAME
        secret = form.make(rng)
        yield form.name, secret, rng.choice(contexts)(secret, form.variable)
