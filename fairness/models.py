"""What belongs to reports beside the evidence that they are: self-tests that are no evidence."""

from __future__ import annotations

from fairness.selftest.models import Naming as Naming
from fairness.selftest.models import SelfTest as SelfTest
