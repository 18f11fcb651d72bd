import json
import string
import time

import pytest
from hypothesis import given, strategies as st

from trainer.runtime.secrets import collect
from trainer.runtime.secrets.mask import MASK, mask_text, masked_argv, masked_environment

NAMES = [
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "HF_TOKEN",
    "DB_PASSWORD", "MYSQL_PASSWD", "DB_PASS", "DB_PWD", "GOOGLE_APPLICATION_CREDENTIALS",
    "PRIVATE_KEY", "apiKey", "api_key", "api-key", "WANDB_API_KEY", "client_secret", "passphrase",
    "Authorization", "HTTP_COOKIE", "STORAGE_ACCOUNT_KEY", "SM_HP_API_TOKEN", "AES_KEY",
    "SMTPPASS", "DB_PW", "dbPass", "openaiKey",
]  # fmt: skip
HARMLESS = {
    "PATH": "/run/secrets:/opt/token/bin:/usr/bin",
    "PWD": "/work",
    "OLDPWD": "/home/me/old",
    "TOKENIZERS_PARALLELISM": "false",
    "AUTHOR": "Ada",
    "SM_HOSTS": '["algo-1", "algo-2"]',
    "SM_HPS": '{"lr": 0.10, "steps":10, "rate": NaN, "name": "cnn", "deep": {"a": [1, null]}}',
    "TF_CONFIG": '{"cluster": {"chief": ["a:2222"]}, "task": {"type": "chief", "index": 0}}',
    "LS_COLORS": "rs=0:di=01;34:ln=01;36",
    "GIT": "ssh://git@example.org/repo.git",
    "URL": "https://example.org/a?b=1&c=2#key",
    "S3": "s3://bucket/user@2/key=1/x",
    "MONKEY": "banana",
    "EMPTY_TOKEN": "",
    "WORDS": '["token", "session", "label"]',
    "BROKEN": '{"a": [',
    "NUMBER": "1234567890123456789012",
}
# As no harmless text has it, so that finding it again means something.
SECRET = st.text(string.printable + "é✓", min_size=1, max_size=40).map(lambda text: f"Q7z{text}Zq7")


@pytest.mark.parametrize("name", NAMES)
def test_values_of_names_that_look_secret_are_masked(name):
    assert masked_environment({name: "x y"}) == {name: MASK}


def test_everything_else_is_unchanged():
    assert masked_environment(HARMLESS) == HARMLESS


@pytest.mark.parametrize(
    "value",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "ya29.a0AfH6SMBxxxxxxxx",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nIBADAN\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ cut off",
    ],
)
def test_values_that_look_secret_are_masked_whatever_their_name(value):
    assert masked_environment({"X": value}) == {"X": MASK}
    assert mask_text(f"before {value}").startswith("before ***")
    assert json.loads(masked_environment({"X": json.dumps({"a": [value]})})["X"]) == {"a": [MASK]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://ada:pw@host/x", "https://***@host/x"),
        ("pip install git+https://tok3n@host/r", "pip install git+https://***@host/r"),
        (
            "https://b.s3/x?X-Amz-Credential=A%2F1&X-Amz-Date=5&X-Amz-Signature=ab&x=1",
            "https://b.s3/x?X-Amz-Credential=***&X-Amz-Date=5&X-Amz-Signature=***&x=1",
        ),
        ("https://g/x?X-Goog-Signature=12ab", "https://g/x?X-Goog-Signature=***"),
        ("https://w/x?sv=1&sig=a%2Fb", "https://w/x?sv=1&sig=***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("sent 'Bearer abcdefghijklmnop'", "sent 'Bearer ***'"),
        ("password: hunter2 next", "password: *** next"),
        ("password=hunter2", "password=***"),
        ('x {"password": "a b\\"c", "y": 1}', 'x {"password": "***", "y": 1}'),
        ('"{\\"password\\": \\"a b\\"}" y', '"{\\"password\\": \\"***\\"}" y'),
        ('X: begins with \'{"password": "abc…\'', 'X: begins with \'{"password": "***'),
        ("['python', '--api-token', 'ab c'] failed", "['python', '--api-token', '***'] failed"),
        ("hp=(('api_key', 'ab c'),)", "hp=(('api_key', '***'),)"),
        ("train --hp token=abc --steps 3", "train --hp token=*** --steps 3"),
        ("train --token abc --steps 3", "train --token *** --steps 3"),
        ("Cookie: a=1; sid=b c\nnext", "Cookie: ***\nnext"),
        (
            "curl -H 'Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature=c' x",
            "curl -H 'Authorization: ***' x",
        ),
        ("<AWSAccessKeyId>AKI</AWSAccessKeyId>", "<AWSAccessKeyId>***</AWSAccessKeyId>"),
        ("machine h password abc login me", "machine h password *** login me"),
        ("https://repo.example/t/tk-12345678-ab/main", "https://repo.example/t/***/main"),
        ("https://chat.example/hooks/abcdefghijklmnopqrstuv", "https://chat.example/hooks/***"),
        ("npm config set //r.example/:_password abc", "npm config set //r.example/:_password ***"),
        ("//r.example/:_authToken=abc", "//r.example/:_authToken=***"),
        ("Server=h;Uid=sa;Pwd=a b;Database=d", "Server=h;Uid=sa;Pwd=***;Database=d"),
        ("postgres://me:p/w@x1@db:5432/r", "postgres://***@db:5432/r"),
        ("me:abc@tcp(db:3306)/r", "***@tcp(db:3306)/r"),
        ("proxy?url=https%3A%2F%2Fh%3Fsig%3Dabc", "proxy?url=https://h?sig=***"),
    ],
)
def test_secrets_in_text(text, expected):
    assert mask_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "NoCredentialsError: Unable to locate credentials",
        "botocore.exceptions.TokenRetrievalError: it has expired",
        "An error occurred (InvalidToken) when calling the GetObject operation: it is malformed",
        'File "/app/secrets.py", line 3, in main',
        "input_signature=[TensorSpec(shape=(None, 28, 28, 1))]",
        "token = None",
        '{"use_token": true, "session": {}, "password": "", "x": 1}',
        "step=100 of=938 loss=0.3 images_per_second=4012",
        "--train /data/tokens: does not exist",
        "max_tokens=512 pad_token_id=0 num_tokens: 5",
        "step=3 token_accuracy=0.9312, session_loss: 1.5e-3 use_token=1",
        '{"class_token": 1, "token_drop": 0.1, "session": "3"}',
        "--hp label_key=label --hp feature_key=image sortKey=name",
        "unknown argument --token (see trainer train --help)",
        "PASSWORD_FILE=/run/secrets/db",
        "docker run -v /data/tokens:/data/tokens:ro",
        "public_key=abc",
        "volume_kms_key=alias/disks",
        "see https://docs.example/en/webhooks/about",
        "http://localhost:8080/a@b",
        "a basic Convolutional network",
    ],
)
def test_what_only_speaks_of_secrets_stays_readable(text):
    assert mask_text(text) == text


def test_json_stays_json_and_keeps_what_is_no_secret():
    sent = {
        "user": "ada",
        "password": 1234,
        "nested": json.dumps({"api_key": "k", "lr": 0.1}),
        "credentials": {"id": "a"},
        "env": [{"Name": "API_KEY", "Value": "v"}, {"Name": "LR", "Value": "1"}],
        "args": ["--api_token", "abc", "--lr", "1"],
    }
    got = json.loads(masked_environment({"SM_TRAINING_ENV": json.dumps(sent)})["SM_TRAINING_ENV"])
    assert json.loads(got.pop("nested")) == {"api_key": MASK, "lr": 0.1}
    assert got == {
        "user": "ada",
        "password": MASK,
        "credentials": MASK,
        "env": [{"Name": "API_KEY", "Value": MASK}, {"Name": "LR", "Value": "1"}],
        "args": ["--api_token", MASK, "--lr", "1"],
    }


def test_a_key_given_twice_is_masked_both_times():
    got = masked_environment({"X": '{"password": "first", "password": ""}'})["X"]
    assert "first" not in got


def test_a_secret_is_hidden_wherever_it_turns_up_again():
    got = masked_environment({"SM_HPS": '{"db_password": "a b c d"}', "NOTE": "it is 'a b c d'."})
    assert got["NOTE"] == "it is '***'."
    hide = collect.known_secrets({"TOKEN": "a/b c\nd"})
    for text in ("a/b c\nd", "'a/b c\\nd'", "?q=a%2Fb%20c%0Ad"):
        assert "b" not in mask_text(text, hide=hide)


def test_short_and_ordinary_words_are_not_hunted_for():
    env = {"A_TOKEN": "on", "DESKTOP_SESSION": "tensorflow", "NOTE": "tensorflow is on"}
    assert masked_environment(env)["NOTE"] == "tensorflow is on"


def test_arguments_are_masked_and_keep_their_number():
    argv = [
        "python",
        "-m",
        "x",
        "--api-token",
        "a b",
        "--hp",
        "token=a b",
        "--password=a b",
        "train",
    ]
    expected = [*argv[:4], MASK, "--hp", f"token={MASK}", f"--password={MASK}", "train"]
    assert masked_argv(argv) == expected
    assert masked_argv(["--use-token", "--steps", "3"]) == ["--use-token", "--steps", "3"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000, "a:" * 100_000, "a=" * 100_000, "eyJ" * 60_000, "-----BEGIN " * 20_000,
        "://" * 60_000, '"\\' * 60_000, "[" * 100_000, '{"a":' * 50_000, "--a " * 50_000,
        '{"a":' * 900 + "1" + "}" * 900, "token " * 30_000, "('a', " * 30_000,
        "http://" * 30_000, "https://x:y" * 20_000, "https://hook" * 20_000, "%3A" * 60_000,
        "a%3A " * 40_000, "%25" * 60_000 + "3A", "login x password" * 12_000, "-u a:" * 40_000,
        "a:b@tcp" * 30_000, "token=;" * 15_000, ";pwd=" * 20_000, ":_auth" * 15_000,
        "jdbc:oracle:" * 16_000, "Basic " * 30_000, "sk-" * 60_000, "token:" * 15_000,
    ],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_any_text_takes_little_time(text):
    start = time.process_time()
    masked_environment({"X": text})
    assert time.process_time() - start < 2


@given(SECRET, st.sampled_from(NAMES))
def test_no_secret_survives_under_a_name_that_looks_secret(secret, name):
    inner = json.dumps({name: secret, "lr": 0.1})
    env = {
        name: secret,
        "SM_HPS": inner,
        "SM_TRAINING_ENV": json.dumps({"hyperparameters": {"all": inner}}),
        "TF_CONFIG": json.dumps({"cluster": {}, "environment": [{"deep": [{name: secret}]}]}),
        "SM_USER_ARGS": json.dumps([f"--{name}", secret]),
        "OPTIONS": f"--{name}={secret}",
        "TWICE": json.dumps(inner),
    }
    shown = masked_environment(env)
    assert list(shown) == list(env)
    for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form not in str(shown)
    assert json.loads(shown["SM_HPS"]) == {name: MASK, "lr": 0.1}
    argv = masked_argv(["prog", "--hp", f"{name}={secret}", f"--{name}", secret])
    assert argv == ["prog", "--hp", f"{name}={MASK}", f"--{name}", MASK]


@given(SECRET, st.sampled_from(NAMES))
def test_no_secret_survives_in_the_text_of_an_error(secret, name):
    for text in (
        f"cannot parse {json.dumps({'a': 1, name: secret})}: it ends",
        f"cannot parse { ({'a': 1, name: secret})!r}: it ends",
        f"cannot parse {json.dumps(json.dumps({name: secret}))}: it ends",
        f"cannot parse {json.dumps({name: secret})[:-3]}…",
        f"Command {['prog', f'--{name}', secret]!r} failed",
    ):
        got = mask_text(text)
        assert MASK in got
        assert "Q7z" not in got


@given(st.text())
def test_masking_again_changes_nothing(text):
    once = masked_environment({"X": text})
    assert masked_environment(once) == once


def test_a_command_that_asks_for_a_token_is_shown_and_what_follows_it_is_not():
    command = "$(gcloud auth print-access-token)"
    header = f'--header "Authorization: Bearer {command}" --data x'
    assert mask_text(header) == header
    assert mask_text(f"Authorization: Bearer {command}s3cret") == f"Authorization: {MASK}"
    assert "s3cret" not in mask_text("Authorization: Bearer $(echo s3cret)")
