"""Roles of AWS's IAM by their names, as people know them."""

from __future__ import annotations

import re

from trainer.clouds.aws import AwsSettings, aws_client, aws_error, error_code
from trainer.config import UserError

_ARN = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
# An account may let nobody look.
MAY_NOT_LOOK = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")


def role_arn(role: str, settings: AwsSettings) -> str:
    """Return the ARN of a role that is given by its ARN or by its name.

    Raises:
        UserError: It is no ARN, there is no such role, or nobody may look.
    """
    if _ARN.fullmatch(role):
        return role
    subject = f"--role {role}"
    if role.startswith("arn:"):
        raise UserError(
            subject=subject,
            problem="expected the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME",
        )
    try:
        found = aws_client("iam", settings).get_role(RoleName=role.rpartition("/")[2])
    except Exception as error:
        code = error_code(error)
        if code in ("NoSuchEntity", "NoSuchEntityException"):
            raise UserError(
                subject=subject, problem="there is no such role in this account",
                remedy="see aws iam list-roles",
            ) from None  # fmt: skip
        if code in MAY_NOT_LOOK:
            raise UserError(
                subject=subject, problem="IAM lets you look up no role by its name",
                remedy="give its ARN, arn:aws:iam::ACCOUNT:role/NAME",
            ) from None  # fmt: skip
        raise aws_error(error, subject) from None
    arn: str = found["Role"]["Arn"]
    return arn
