"""Names of variables, keys and flags whose values are secrets."""

from __future__ import annotations

import re

# Names whose value is a secret, wherever it stands.
_STRONG = re.compile(
    r"SECRET|TOKEN(?!I[SZ])|PASSWORD|PASSWD|PASSPHRASE|PASSCODE|(?:^|[_.-])PASS$|[_.-]PWD$"
    r"|(?:^|[_.-])(?:PW|BEARER)$|(?-i:(?<=[a-z])(?:Pass|Pwd)$)"
    r"|(?:ADMIN|DB|FTP|HTTP|LDAP|MAIL|MY|PROXY|ROOT|SMTP|SQL|USER)PASS$"
    r"|AUTHORIZATION|WEB_?HOOK|CONN(?:ECTION)?[_.-]?STR(?:ING)?(?!UCT)"
    r"|(?:^|[_.-])(?:DSN|PAT|JWT|SAS|PSK|CREDS)$|SAS[_.-]?UR[IL]$|COOKIE|AUTH_?IDENT"
    r"|(?:API|ACCESS|PRIVATE|ACCOUNT|ENCRYPTION|SIGNING|SSH|MASTER|STORAGE|SUBSCRIPTION|LICENSE"
    r"|CONSUMER|CLIENT)[_.-]?KEY",
    re.IGNORECASE,
)
# Names whose value may be a secret or an ordinary word, as in DESKTOP_SESSION.
_WEAK = re.compile(
    r"CREDENTIAL|PRIVATE|SESSION|(?:^|[_.-])(?:AUTH|SIG)$|[_.-]KEYS?$|(?-i:^KEY$|(?<=[a-z])Key$)",
    re.IGNORECASE,
)
# In the query of an address, where `signature` is no function's, and between the `;` of a
# connection string, where `pwd` is no folder.
_QUERY = re.compile(r"SIGNATURE|^SIG$|^KEY$|^CODE$", re.IGNORECASE)
_CONNECTION = re.compile(r"^PWD$|^KEY$|SIGNATURE", re.IGNORECASE)
# Models of language count tokens, and some tokens are words: max_tokens, pad_token_id.
_OF_TEXT = re.compile(
    r"(?:^|[_.-])(?:MAX|MIN|NUM|N|TOTAL|NEW|PROMPT|COMPLETION|INPUT|OUTPUT|PAD|EOS|BOS|UNK|SEP|CLS"
    r"|MASK)[_.-]?(?:\w+[_.-])?TOKENS?(?:[_.-]?IDS?)?$"
    r"|TOKENS?[_.-]?(?:IDS?|TYPE(?:[_.-]\w+)?|COUNT|SIZE|LEN|LENGTH|LIMIT|DIM|PER[_.-]\w+)$",
    re.IGNORECASE,
)
# Where a secret lies is none, nor is a public key or what a record is found by, and
# `NoCredentialsError: …` is an error.
_NO_SECRET = re.compile(
    r"(?i:PUBLIC[_.-]?KEY|(?:FEATURE|FOREIGN|GROUP|IMAGE|INPUT|KMS|LABEL|OBJECT|OUTPUT|PARTITION"
    r"|PRIMARY|SORT|TARGET)[_.-]?KEYS?$)|(?:Error|Exception|Warning|Fault|\.py)$|(?i:[_.-](?:FILE|PATH|DIR)$)"
)
# `token_accuracy=0.93`, `use_token=1`; a password of four digits is one.
_FIGURE = re.compile(
    r"[-+]?(?:\d{1,4}|\d{0,9}\.\d+(?:e[-+]?\d{1,3})?|\de[-+]?\d{1,3})", re.IGNORECASE
)
_DIGITS = re.compile(r"PASS|PW|SECRET|COOKIE|CODE|PIN|AUTH", re.IGNORECASE)


def is_figure(name: str, value: object) -> bool:
    """Return whether a value is a number that is no secret, though its name may look like one."""
    if isinstance(value, bool) or _DIGITS.search(name):
        return False
    return bool(_FIGURE.fullmatch(value if isinstance(value, str) else str(value)))


def looks_secret(name: str) -> bool:
    """Return whether a variable, key or flag of this name holds a secret."""
    return surely_secret(name) or (bool(_WEAK.search(name)) and not _NO_SECRET.search(name))


def surely_secret(name: str) -> bool:
    """Return whether a value of this name is a secret wherever else it turns up."""
    return bool(_STRONG.search(name)) and not (_NO_SECRET.search(name) or _OF_TEXT.search(name))


def secret_in_query(name: str) -> bool:
    """Return whether a parameter of an address holds a secret."""
    return bool(_QUERY.search(name)) or looks_secret(name)


def secret_in_connection(name: str) -> bool:
    """Return whether a part of a connection string, as `Server=a;Pwd=b`, is a secret."""
    return bool(_CONNECTION.search(name)) or looks_secret(name)
