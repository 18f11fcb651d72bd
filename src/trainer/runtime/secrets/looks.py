"""Secrets that their shape alone gives away, whatever they are called."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

# The characters of an address, as it stands in a text.
_IN_ADDRESS = r"""[^\s"'<>\\]"""
_PATTERNS = [
    # user:password@ of an address; a password may hold what an address may not.
    r"""(?<=://)(?P<secret>
        [^/\s?\#@:"'<>\[\]]*:(?!\d{1,5}(?:[/?\#,;]|$))[^\s"'<>]{1,300}(?=@)
        | [^/\s?\#@"'<>]+(?=@))""",
    r"(?<![\w/@:.-])(?P<secret>[\w.-]{1,64}:[^\s@]{1,200})@(?:tcp|unix)\(",
    r"jdbc:oracle:\w+:(?P<secret>[^\s/@]{1,64}/[^\s@]{1,200})@",
    # .npmrc and npm's command line, .netrc, curl
    r":_(?:auth|authToken|password)(?:\s*=\s*|\s+)(?P<secret>[^\s\"']+)",
    r"\b(?:machine|login|account)\s+\S+\s+password\s+(?P<secret>\S+)",
    # The user and group of a container are numbers.
    r"(?<!\S)(?!--user[=\ ]\d{1,10}:\d{1,10}(?!\S))"
    r"(?:-u|--user|--proxy-user)[=\ ](?P<secret>[^\s:/]{1,64}:[^\s/]\S*)",
    r"(?P<secret>-----BEGIN\ [^-]+-----.*?(?:-----END\ [^-]+-----|\Z))",
    r"(?<=[Bb]earer\ )(?P<secret>[\w.~+/=-]{12,})",
    r"(?<=[Bb]asic\ )(?P<basic>[A-Za-z0-9+/]{6,}={0,2})",
    # Addresses whose path is all that is needed to post there, and such paths alone.
    rf"""//(?:hooks\.slack\.com|hooks\.zapier\.com|[\w.-]{{0,99}}webhook\.office(?:365)?\.com
        |outlook\.office(?:365)?\.com/webhook\w*|(?:\w+\.)?discord(?:app)?\.com/api(?:/v\d+)?/webhooks
        |maker\.ifttt\.com/trigger|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot
        |events\.pagerduty\.com/integration|hc-ping\.com|webhook\.site)/
        (?P<secret>{_IN_ADDRESS}+)""",
    rf"""https?://[^\s"'<>\\@]{{0,200}}?hooks?\b[\w.-]{{0,60}}(?::\d+)?/
        (?P<secret>(?={_IN_ADDRESS}{{0,300}}\d|{_IN_ADDRESS}{{20}}){_IN_ADDRESS}{{6,}})""",
    r"/t/(?P<secret>tk-[\w-]{8,}|[0-9a-f]{8}-[0-9a-f-]{27})(?=/)",  # conda
    r"(?<!\w)/services/(?P<secret>T\w+/B\w+/\w+)",
    r"/api(?:/v\d+)?/webhooks/(?P<secret>\d+/[\w-]+)",
    r"/webhookb2/(?P<secret>[\w@-]{8,}[^\s\"'<>\\]*)",
    r"/bot(?P<secret>\d{6,}:[\w-]{20,})",
    # Tokens, by the prefixes that their issuers give them.
    r"""(?<![\w-])(?P<secret>
    (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}                                        # AWS
    | eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?                                      # JSON web token
    | ya29\.[\w.-]{8,} | AIza[\w-]{30,} | GOCSPX-[\w-]{16,} | 1//0[\w-]{20,}    # Google
    | gh[pousr]_\w{20,} | github_pat_\w{20,}
    | gl(?:pat|ptt|rt|dt|cbt|soat|ft|imt|agent|oas)-[\w.-]{16,} | gl(?:sa|c)_[\w+/=-]{20,}
    | hf_\w{20,} | api_org_\w{20,}
    | xox[abeprs]-[\w-]{10,} | xapp-[\w-]{10,}                                  # Slack
    | sk-(?=[\w-]{0,99}\d)[\w-]{20,} | pplx-\w{20,} | xai-\w{20,} | gsk_\w{20,} | r8_\w{20,}
    | (?:sk|rk)_(?:live|test)_\w{10,} | whsec_[\w+/=]{16,}                      # Stripe
    | npm_[A-Za-z0-9]{20,} | pypi-(?=[\w-]{0,99}\d)[\w-]{16,} | dckr_[po]at_[\w-]{10,}
    | dapi[0-9a-f]{32}(?:-\d)? | do[opr]_v1_[0-9a-f]{32,} | shp(?:at|ca|pa|ss)_[0-9a-f]{32}
    | SG\.[\w-]{16,}\.[\w-]{16,} | SK[0-9a-f]{32} | key-[0-9a-f]{32} | NRAK-[A-Z0-9]{20,}
    | AT[AC]TT3[\w=-]{20,} | hv[sbr]\.[\w-]{20,} | lin_api_\w{20,} | lsv2_[ps][tk]_\w{20,}
    | sntry[su]_[\w=+/]{20,} | pcsk_\w{20,} | ntn_\w{20,} | AGE-SECRET-KEY-1[A-Z0-9]{20,}
    | local-[0-9a-f]{40} | wandb_v1_\w{20,}
    | \d{8,10}:AA[\w-]{33}                                                      # Telegram
    | [\w.~]{3}\dQ~[\w.~-]{31,} | [A-Za-z0-9+/]{86}==                           # Azure
    )""",
]
_LOOKS = [re.compile(pattern, re.VERBOSE | re.DOTALL) for pattern in _PATTERNS]
# ssh://git@host names a user only, and everybody's.
_SSH_USER = re.compile(r"(?:ssh|sftp|git\+ssh)://$")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where secrets begin and end; they may overlap."""
    for pattern in _LOOKS:
        for match in pattern.finditer(text):
            name = match.lastgroup or ""
            begin, end = match.span(name)
            if name == "basic" and not _is_basic(match[name]):
                continue
            if text[begin:end].isidentifier() and _SSH_USER.search(text, 0, begin):
                continue
            yield begin, end


def _is_basic(text: str) -> bool:
    """Return whether a text is user:password as HTTP sends it."""
    try:
        return b":" in base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
