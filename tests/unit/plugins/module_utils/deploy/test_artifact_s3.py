# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said of a store that does not give the archive; a real store is asked in the integration tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import artifact_s3 as s3
from ansible_collections.slipway.stack.plugins.module_utils.deploy.artifact import ArtifactError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, SSLError

SOURCE = {"bucket": "releases", "key": "shop.tar.gz", "endpoint_url": "https://s3.example.com"}


def answered(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as it says"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (answered("NoSuchBucket"), "there is no such bucket; correct source.bucket (the store says NoSuchBucket)"),
        (answered("404"), "there is no such bucket or key"),
        (answered("403"), "the credentials do not allow it"),
        (answered("SlowDown"), "as it says (the store says SlowDown)"),
        (NoCredentialsError(), "there are no credentials; give access_key and secret_key, a profile"),
        (EndpointConnectionError(endpoint_url="https://s3.example.com"), "cannot be reached: "),
        (SSLError(endpoint_url="https://s3.example.com", error="self-signed"), "cannot be reached: "),
    ],
)
def test_the_place_and_what_to_do_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    class Client:
        def download_file(self, *_args: Any) -> None:
            raise error

    monkeypatch.setattr(s3, "_client", lambda _source: Client())
    with pytest.raises(ArtifactError) as caught:
        s3.download(SOURCE, tmp_path / "x")
    assert str(caught.value).startswith("source: s3://releases/shop.tar.gz at https://s3.example.com: ")
    assert message in str(caught.value)


def test_a_profile_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(ArtifactError, match=r"source\.profile: .*ana"):
        s3.download({**SOURCE, "profile": "ana"}, tmp_path / "x")


def test_a_compatible_store_is_asked_as_all_understand() -> None:
    client = s3._client({**SOURCE, "region": "eu-central-1", "access_key": "a", "secret_key": "s"})
    assert client.meta.endpoint_url == "https://s3.example.com"
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.request_checksum_calculation == "when_required"
