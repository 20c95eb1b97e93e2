# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An artifact from a bucket of S3 or a compatible store."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .artifact import ArtifactError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )
    from botocore.exceptions import ConnectionError as StoreConnectionError

    BOTO3_ERROR = None
except ImportError:
    BOTO3_ERROR = traceback.format_exc()

ADVICE = {
    "NoSuchBucket": "there is no such bucket; correct source.bucket",
    "NoSuchKey": "there is no such key in the bucket; correct source.key",
    "404": "there is no such bucket or key; correct source.bucket or source.key",
    "403": "the credentials do not allow it; give them s3:GetObject on this key, or correct them",
    "AccessDenied": "the credentials do not allow it; give them s3:GetObject on this key, or correct them",
    "InvalidAccessKeyId": "the access key is unknown there; correct access_key, AWS_ACCESS_KEY_ID or the profile",
    "SignatureDoesNotMatch": "the secret key is wrong; correct secret_key, AWS_SECRET_ACCESS_KEY or the profile",
    "ExpiredToken": "the credentials have expired; get new ones",
    "PermanentRedirect": "the bucket is in another region; correct source.region",
    "AuthorizationHeaderMalformed": "the bucket is in another region; correct source.region",
}


def download(source: Mapping[str, str], target: Path) -> None:
    """Write the object that the fields of ``source`` name to ``target``.

    Raises:
        ArtifactError: naming the bucket and key, what the store answered and what to do.
    """
    where = f"s3://{source['bucket']}/{source['key']}"
    if source.get("endpoint_url"):
        where += f" at {source['endpoint_url']}"
    try:
        _client(source).download_file(source["bucket"], source["key"], str(target))
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise ArtifactError(f"source: {where}: {ADVICE.get(code, str(error))} (the store says {code})") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ArtifactError(
            f"source: {where}: there are no credentials; give access_key and secret_key, a profile, or the variables"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except ProfileNotFound as error:
        raise ArtifactError(f"source.profile: {error}; correct the name, or ~/.aws/config") from error
    except (HTTPClientError, StoreConnectionError) as error:
        raise ArtifactError(
            f"source: {where}: cannot be reached: {error}; correct source.endpoint_url or source.region, or look at"
            " the store"
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise ArtifactError(f"source: {where}: {error}") from error


def _client(source: Mapping[str, str]) -> Any:
    options: dict[str, Any] = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 3}}
    if source.get("endpoint_url"):
        options["s3"] = {"addressing_style": "path"}
    # Many compatible stores do not know the checksums that newer versions add; older ones do not know the options.
    if "request_checksum_calculation" in Config.OPTION_DEFAULTS:
        options["request_checksum_calculation"] = options["response_checksum_validation"] = "when_required"
    session = boto3.session.Session(
        aws_access_key_id=source.get("access_key"),
        aws_secret_access_key=source.get("secret_key"),
        aws_session_token=source.get("session_token"),
        region_name=source.get("region"),
        profile_name=source.get("profile"),
    )
    return session.client(
        "s3", endpoint_url=source.get("endpoint_url"), verify=source.get("ca_file"), config=Config(**options)
    )
