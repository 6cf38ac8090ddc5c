"""What the serving process tells nobody."""

from __future__ import annotations

import subprocess
import sys

SAID = "import inference.gateway.runner, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"


def test_onnx_runtime_is_told_to_report_to_nobody_before_it_is_imported():
    ran = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "1", ran.stderr
