"""Clients that nobody here wrote, as they come from their packages, against a gateway that really runs."""

from __future__ import annotations

import json
import subprocess
import venv

import pytest

from tests.inference.gateway import ROWS, a_world, bearer, body, expected, running, until

PACKAGES = ("tritonclient[http]==2.73.0", "mlflow-skinny==3.17.2", "requests==2.32.5")
SCRIPT = """
import json, os, sys
import numpy as np, requests
import tritonclient.http as triton
from mlflow.deployments import get_deploy_client

host, rows = sys.argv[1], json.loads(sys.argv[2])
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]}
client = triton.InferenceServerClient(host)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("loans", headers=headers)
assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
found = []
for binary in (True, False):
    table = triton.InferInput("X", [len(rows), 2], "FP32")
    table.set_data_from_numpy(np.array(rows, dtype=np.float32), binary_data=binary)
    some = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "decision")]
    for wanted in (some, None):
        answer = client.infer("loans", [table], outputs=wanted, headers={**headers})  # it writes into what it is given
        found.append([answer.as_numpy("label").tolist(), answer.as_numpy("decision").tolist()])
split = {"dataframe_split": {"columns": ["income", "debt"], "data": rows}}
for told in (
    get_deploy_client("http://" + host).predict(endpoint="loans", inputs=split),
    requests.post("http://" + host + "/invocations", json=split, headers=headers).json(),
):
    found.append([[one["label"] for one in told["predictions"]], [one["decision"] for one in told["predictions"]]])
print(json.dumps(found))
"""


@pytest.mark.long  # 60 MB of other people's packages
def test_they_work_unchanged(cast, committing_db, process_environment, tmp_path):
    venv.create(tmp_path / "clients", with_pip=True)
    python = str(tmp_path / "clients" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=300)
    labels, _, decisions = expected()
    world = a_world(cast)
    with running(process_environment) as client:
        path, headers = f"{world.path}/infer", bearer(world.secret)
        until(lambda: client.post(path, json=body(), headers=headers).status_code == 200, 3)
        told = subprocess.run(
            [python, "-c", SCRIPT, client.base_url.netloc.decode(), json.dumps(ROWS)],
            stdout=subprocess.PIPE, timeout=60, env={"MLFLOW_TRACKING_TOKEN": world.secret, "HOME": "/tmp"},
        )  # fmt: skip
        assert told.returncode == 0
        assert json.loads(told.stdout) == [[labels, decisions]] * 6
        given = ["-H", f"Authorization: Bearer {world.secret}", "-H", "Content-Type: application/json"]
        asked = ["curl", "-sS", f"{client.base_url}{path}", *given, "-d", json.dumps(body())]
        told = subprocess.run(asked, check=True, stdout=subprocess.PIPE, timeout=20)
        outputs = {one["name"]: one["data"] for one in json.loads(told.stdout)["outputs"]}
        assert (outputs["label"], outputs["decision"]) == (labels, decisions)
