from .aws import (
    AwsSettings as AwsSettings,
    aws_client as aws_client,
    aws_error as aws_error,
    error_code as error_code,
    naming_aws_errors as naming_aws_errors,
)
from .aws_roles import MAY_NOT_LOOK as MAY_NOT_LOOK, role_arn as role_arn
from .google import GoogleSession as GoogleSession, google_error as google_error
