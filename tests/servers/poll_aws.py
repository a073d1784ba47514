"""Polls a secret of AWS Secrets Manager as an application with boto3 does: by name, no version, no stage.

Usage: poll_aws.py SECRET [FIELD]     with FIELD, the secret is a JSON object and one field of it is read

What it prints is described in watch.py. The address and the credentials are in the environment.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from watch import NoValue, watch


class Refused(Exception):
    def __init__(self, code):
        self.code = code


def main(secret, field=None):
    # One try for each read: a retry would hide what a consumer without retries sees.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
    client = boto3.client("secretsmanager", region_name=os.environ["AWS_REGION"], config=config)

    def read():
        try:
            found = client.get_secret_value(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            raise NoValue from None
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"]) from None
        value = found.get("SecretString") or found["SecretBinary"]
        return json.loads(value)[field] if field else value

    watch(read)


if __name__ == "__main__":
    main(*sys.argv[1:])
