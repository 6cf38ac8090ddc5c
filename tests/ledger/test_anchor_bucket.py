"""Checkpoints in a bucket with object lock: moto's S3 server, and the signature against botocore's and Amazon's own."""

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from ledger.anchors.bucket import Bucket
from ledger.anchors.sigv4 import Credentials, signed
from ledger.anchors.targets import Failed, Known, Published
from tests.ledger.stand_ins import Reply, served

NOTE = Published("log.test/one", 7, "log.test/one\n7\nAAAA\n\n— log.test/one AAAA\n".encode())
OTHER = Published("log.test/one", 7, "log.test/one\n7\nBBBB\n\n— log.test/one BBBB\n".encode())
KEY = f"log/{hashlib.sha256(b'log.test/one').hexdigest()}/7"
ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def store():
    """A client of a store with a bucket that locks, one that keeps versions only, and one that does neither."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 0}),
    )  # fmt: skip
    yield client
    client.close()
    server.stop()


@pytest.fixture
def bucket(store, request, tmp_path):
    """A fresh bucket with object lock, and the target that leads below its prefix `log`."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    store.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return target(store, name, tmp_path)


def target(store, name, tmp_path, days=30):
    (tmp_path / "keys").write_text(f"{ACCESS}\n{SECRET}\n")
    url = f"{store.meta.endpoint_url}/{name}/log"
    return Bucket(name=name, url=url, region="us-east-1", days=days, credentials_file=tmp_path / "keys")


def code(target, what=NOTE):
    with pytest.raises(Failed) as failed:
        target.take(what, Known())
    assert SECRET not in failed.value.sentence
    assert ACCESS not in failed.value.sentence
    return failed.value.code


def test_what_is_locked_cannot_be_removed(store, bucket):
    receipt = json.loads(bucket.take(NOTE, Known()).content)
    assert receipt["mode"] == "COMPLIANCE"
    assert receipt["object"] == f"{bucket.url}/{KEY.removeprefix('log/')}"
    assert receipt["sha256"] == f"sha256:{hashlib.sha256(NOTE.note).hexdigest()}"
    left = datetime.fromisoformat(receipt["retain_until"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    version = {"Bucket": bucket.name, "Key": KEY, "VersionId": receipt["version"]}
    for bypass in (False, True):
        with pytest.raises(ClientError, match="AccessDenied"):
            store.delete_object(**version, BypassGovernanceRetention=bypass)
    assert store.get_object(**version)["Body"].read() == NOTE.note


def test_what_is_written_over_is_still_there(store, bucket):
    version = json.loads(bucket.take(NOTE, Known()).content)["version"]
    newer = store.put_object(Bucket=bucket.name, Key=KEY, Body=b"forged")["VersionId"]
    store.delete_object(Bucket=bucket.name, Key=KEY)
    assert newer != version
    kept = store.get_object(Bucket=bucket.name, Key=KEY, VersionId=version)
    assert kept["Body"].read() == NOTE.note
    assert kept["ObjectLockMode"] == "COMPLIANCE"


def test_a_repetition_makes_no_second_version(store, bucket):
    first, second = bucket.take(NOTE, Known()), bucket.take(NOTE, Known())
    assert first == second
    assert len(store.list_object_versions(Bucket=bucket.name)["Versions"]) == 1


def test_another_checkpoint_of_the_size_is_told(store, bucket):
    bucket.take(NOTE, Known())
    assert code(bucket, OTHER) == "other_checkpoint"
    assert len(store.list_object_versions(Bucket=bucket.name)["Versions"]) == 1


@pytest.mark.parametrize("versions", [False, True])
def test_a_bucket_without_lock_is_no_anchor(store, tmp_path, versions):
    name = f"plain-{versions}".lower()
    store.create_bucket(Bucket=name)
    if versions:
        store.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    assert code(target(store, name, tmp_path)) in ("refused", "not_locked")


def test_an_object_put_there_without_lock_is_no_anchor(store, bucket):
    store.put_object(Bucket=bucket.name, Key=KEY, Body=NOTE.note)
    assert code(bucket) == "not_locked"


def test_a_bucket_that_is_not_there(store, tmp_path):
    assert code(target(store, "nowhere", tmp_path)) == "refused"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_store_that_says_no(tmp_path, status):
    (tmp_path / "keys").write_text(f"{ACCESS} {SECRET}")
    with served(lambda asked: Reply(status, SECRET.encode())) as address:
        bucket = Bucket(name="s3", url=address, region="eu-1", days=1, credentials_file=tmp_path / "keys")
        assert code(bucket) == "refused"


LOCKED = {"x-amz-version-id": "1", "x-amz-object-lock-mode": "COMPLIANCE"}


@pytest.mark.parametrize(
    ("headers", "days"),
    [({}, 30), ({"x-amz-object-lock-mode": "GOVERNANCE"}, 30), ({"x-amz-version-id": ""}, 30), ({}, 5),
     ({"x-amz-object-lock-retain-until-date": "soon"}, 30)],
)  # fmt: skip
def test_the_stores_word_is_checked(tmp_path, headers, days):
    """Whatever a store answers to the writing: what it then says of the object decides."""
    (tmp_path / "keys").write_text(f"{ACCESS}\n{SECRET}")
    until = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {**LOCKED, "x-amz-object-lock-retain-until-date": until, **headers}
    with served(lambda asked: Reply(200, NOTE.note if asked.method == "GET" else b"", said)) as address:
        bucket = Bucket(name="s3", url=address, region="eu-1", days=30, credentials_file=tmp_path / "keys")
        if not headers and days == 30:
            assert json.loads(bucket.take(NOTE, Known()).content)["version"] == "1"
        else:
            assert code(bucket) == "not_locked"


def test_an_object_that_cannot_be_read_back(tmp_path):
    (tmp_path / "keys").write_text(f"{ACCESS}\n{SECRET}")
    with served(lambda asked: Reply(200 if asked.method == "PUT" else 403)) as address:
        bucket = Bucket(name="s3", url=address, region="eu-1", days=30, credentials_file=tmp_path / "keys")
        assert code(bucket) == "refused"


def test_keys_of_another_form(tmp_path):
    (tmp_path / "keys").write_text(SECRET)
    bucket = Bucket(name="s3", url="http://127.0.0.1:1", region="", days=1, credentials_file=tmp_path / "keys")
    assert code(bucket) == "secret_unreadable"


def test_the_signature_is_amazons():
    """The first example of "Signature calculations for the Authorization header" in the S3 API reference."""
    headers = signed(
        "GET", "https://examplebucket.s3.amazonaws.com/test.txt", {"range": "bytes=0-9"}, b"",
        Credentials(ACCESS, SECRET), datetime(2013, 5, 24, tzinfo=UTC),
    )  # fmt: skip
    expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert headers["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [("PUT", "https://s3.test:9000/bucket/a/7", b"note"), ("GET", "https://s3.test/b/7?versionId=a%2Bb_~.1", b"")],
)
def test_the_signature_is_botocores(method, url, body):
    credentials = Credentials(ACCESS, SECRET, "eu-central-1")
    mine = signed(method, url, {"If-None-Match": "*", "x-amz-object-lock-mode": "COMPLIANCE"}, body, credentials,
                  datetime.now(UTC))  # fmt: skip
    given = {name: value for name, value in mine.items() if name not in ("host", "authorization")}
    request = AWSRequest(method=method, url=url, data=body, headers=given)
    request.context["timestamp"] = mine["x-amz-date"]
    auth = S3SigV4Auth(BotoCredentials(ACCESS, SECRET), "s3", "eu-central-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert mine["authorization"].rpartition("=")[2] == auth.signature(text, request)
    assert SECRET not in repr(credentials)
