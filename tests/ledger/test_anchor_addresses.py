"""LOG_ANCHORS as it is read."""

import pytest
from django.core.checks import run_checks

from ledger.anchors.addresses import parse
from tests.ledger.stand_ins import Log


@pytest.fixture(scope="module")
def vkey():
    return Log().witness().vkey


def test_each_kind(vkey):
    targets, faults = parse([
        "folder:/srv/my%20anchors", "off-site=folder:/mnt/x#outside=yes&every=3600",
        "s3:https://s3.test/bucket/log#region=eu-central-1&days=3650&credentials_file=/run/secrets/s3",
        "webhook:https://hooks.test/in?token=abc#secret_file=/run/secrets/hook",
        "tsa:https://tsa.test/tsr#ca_file=/etc/tsa.pem", f"witness:https://witness.test/w1/#vkey={vkey}&outside=no",
        "local=webhook:http://127.0.0.1:9/x#secret_file=/s",
    ])  # fmt: skip
    assert faults == []
    assert [(one.name, one.kind, one.place, one.outside) for one in targets] == [
        ("folder", "folder", "/srv/my anchors", False),
        ("off-site", "folder", "/mnt/x", True),
        ("s3", "s3", "https://s3.test/bucket/log", False),
        ("webhook", "webhook", "https://hooks.test", False),
        ("tsa", "tsa", "https://tsa.test/tsr", True),
        ("witness", "witness", "https://witness.test/w1", False),
        ("local", "webhook", "http://127.0.0.1:9", False),
    ]
    assert targets[1].every == 3600
    assert (targets[2].region, targets[2].days) == ("eu-central-1", 3650)
    assert targets[5].key.vkey == vkey


S3 = "s3:https://s3.test/b#credentials_file=/c"
FAULTY = {
    "srv/anchors": "no known kind", "ftp:/srv": "no known kind", "": "no known kind", "=folder:/x": "Its name",
    "A=folder:/x": "Its name", "folder:anchors": "whole path", "folder:/x#colour=red": "unknown to folder",
    "folder:/x#every=-1": "whole number", "folder:/x#every=1h": "whole number", "folder:/x#outside=so": "yes or no",
    S3: "days", S3 + "&days=0": "days", "s3:https://s3.test/b#days=1": "credentials_file",
    "s3:https://s3.test/b?x=y#days=1&credentials_file=/c": "no query",
    "webhook:https://hooks.test/": "secret_file", "webhook:https://hooks.test/#secret_file=relative": "secret_file",
    "webhook:http://hooks.test/#secret_file=/s": "Use https", "webhook:https:///x#secret_file=/s": "no URL",
    "webhook:https://[::1/#secret_file=/s": "no URL", "webhook:https://h:port/#secret_file=/s": "no URL",
    "webhook:file:///etc/passwd#secret_file=/s": "no URL", "webhook:https://hooks.test/ä#secret_file=/s": "no URL",
    "webhook:https://me:hunter2@hooks.test/#secret_file=/s": "secrets belong into files",
    "tsa:https://tsa.test/": "ca_file", "witness:https://w.test/": "vkey", "witness:https://w.test/#vkey=a+b+c": "vkey",
}  # fmt: skip


@pytest.mark.parametrize("entry", FAULTY)
def test_what_is_wrong_is_said_and_the_rest_is_used(entry):
    targets, (fault,) = parse([entry, "other=folder:/x"])
    assert [one.name for one in targets] == ["other"]
    assert fault.name == "anchor 1"
    assert FAULTY[entry] in fault.sentence
    assert "hunter2" not in fault.sentence


def test_a_log_key_is_no_witness_key():
    _, (fault,) = parse([f"witness:https://w.test/#vkey={Log().key.vkey}"])
    assert "not one of cosignatures" in fault.sentence


def test_two_of_one_name():
    targets, (fault,) = parse(["folder:/a", "folder:/b"])
    assert [one.place for one in targets] == ["/a"]
    assert fault == ("folder", "Another anchor has this name. Put a name of its own before it: other=kind:….")


def test_http_where_it_is_allowed():
    targets, faults = parse(["webhook:http://hooks.test/#secret_file=/s"], http=True)
    assert (len(targets), faults) == (1, [])


def test_the_system_check_tells(settings):
    settings.LOG_ANCHORS = ["folder:/srv/anchors", "webhook:https://me:hunter2@hooks.test/"]
    (error,) = [one for one in run_checks() if one.id == "countersign.E040"]
    assert "anchor 2" in error.msg
    assert "hunter2" not in f"{error.msg} {error.hint}"
    settings.LOG_ANCHORS = ["folder:/srv/anchors"]
    assert not [one for one in run_checks() if one.id == "countersign.E040"]
