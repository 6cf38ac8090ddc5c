"""A page with every component in every state, and the URLs that only tests have."""

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone

from fairness.explanation import drawing
from portal import words
from portal.theme import set_theme


class Person(SimpleNamespace):
    """As much of a user as the frame and the components look at."""

    is_authenticated = True

    def get_absolute_url(self) -> str:
        return f"/people/{self.name.lower().replace(' ', '-')}/"


class Sample(forms.Form):
    reasoning = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept with the signature.")
    environment = forms.ChoiceField(choices=[("production", "production"), ("staging", "staging")], required=False)
    outcome = forms.ChoiceField(
        widget=forms.RadioSelect, choices=[("approve", "Approve"), ("reject", "Reject")], help_text="One of two."
    )
    groups = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, choices=[("a", "Women"), ("b", "Men")], required=False
    )
    sure = forms.BooleanField(label="I have examined the evidence listed")
    file = forms.FileField(required=False)
    limit = forms.DecimalField(required=False, help_text="Between 0 and 1.")
    password = forms.CharField(widget=forms.PasswordInput)
    revision = forms.CharField(widget=forms.HiddenInput)


class Reason(forms.Form):
    prefix = "confirm"
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the log.")
    name = forms.CharField(label="Name of the model")


REQUIREMENTS = [
    {"state": "met", "text": "Bias report within bounds on out-of-time data", "note": "Report 88", "url": "?report=88"},
    {"state": "met", "text": "Explanation report, residual under 1e-6", "note": "Report 89", "url": "?report=89"},
    {"state": "accepted", "text": "Training data has lawful basis", "who": "Until 1 March.", "note": "by Risk 1"},
    {"state": "waiting", "title": "Independent validation", "text": "one validator who is no contributor.",
     "who": "You may sign.", "note": "0 of 1"},
    {"state": "blocked", "title": "Approval by risk", "text": "two approvers, after validation.",
     "who": "Approvers 1, 2 and 3 may sign.", "note": "0 of 2"},
    {"state": "not_met", "title": "Model card", "text": "the use limitations are empty", "note": ""},
]  # fmt: skip


def plot() -> dict[str, Any]:
    def row(y: int, name: str, n: str, **more: Any) -> dict[str, Any]:
        blank = {"dot_x": None, "lo_x": None, "hi_x": None, "outside": False, "note": ""}
        return blank | {"y": y, "name": name, "n": n} | more

    return {
        "title": "Impact ratio by group with 95 % intervals; the table has the numbers",
        "width": 760, "height": 220, "plot_left": 250, "plot_right": 740, "axis_y": 192,
        "ticks": [{"x": 250, "label": "0.60"}, {"x": 445, "label": "0.80"}, {"x": 640, "label": "1.00"}],
        "bound": {"x": 445, "label": "0.80 bound"},
        "rows": [
            row(40, "White", "1\u202f681", dot_x=640, reference=True),
            row(
                72, "Hispanic", "110", dot_x=574, lo_x=480, hi_x=740, hi_cut=True, note="inconclusive",
                value="0.93 [0.84, 1.12]",
            ),
            row(104, "Native Hawaiian or other Pac…", "197", dot_x=508, lo_x=460, hi_x=580, value="0.88 [0.82, 0.94]"),
            row(136, "Native", "88", dot_x=330, lo_x=280, hi_x=400, outside=True, value="0.70 [0.63, 0.76]"),
            row(168, "Unknown", "1", note="too few to test"),
        ],
    }  # fmt: skip


def swarm() -> dict[str, Any]:
    low = {"bin": 12, "rows": 40, "level": 0.1}
    high = {"bin": 28, "rows": 90, "level": 0.9}
    features = [{"feature": "income", "bins": [low, high]}, {"feature": "debt", "bins": [{**low, "level": 0.5}]}]
    return drawing.swarm({"edge": 0.8, "bins": 40, "features": features})


def waterfall() -> dict[str, Any]:
    features = [
        {"feature": "income", "value": 0.4, "attribution": 0.9},
        {"feature": "town", "value": "north", "attribution": -0.4},
    ]  # fmt: skip
    return drawing.waterfall(-0.2, features, 0.0)


def gallery(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    owner, validator = Person(name="Owner 1"), Person(name="Validator 1")
    robot = Person(name="ci-bot", kind="service_account")
    digests = ["9f2c" * 16, "sha256:" + "41d0" * 16, bytes(range(32)), None]
    for level in ("success", "info", "warning", "error"):
        getattr(messages, level)(request, f"This is how a message of level {level} looks.")
    return render(request, "gallery.html", {
        "user": validator, "section": "models", "owner": owner, "validator": validator, "inbox_count": 3,
        "soon": now + timedelta(days=3), "yesterday": now - timedelta(days=1),
        "tabs": [{"key": key, "label": key.capitalize(), "url": f"?tab={key}", "count": count} for key, count in
                 [("overview", None), ("evidence", 6), ("bias", 2), ("explanations", None), ("approvals", 1),
                  ("serving", None), ("history", 18)]],
        "requirements": REQUIREMENTS, "met": [{"state": "met", "text": "Two approvals of two", "note": "2 of 2"}],
        "plot": plot(), "swarm": swarm(), "waterfall": waterfall(),
        "form": Sample({"limit": "many"}), "reason": Reason(),
        "rows": [
            {"url": f"/models/{at}/", "name": name, "state": state, "owner": who, "digest": digest,
             "rows": 10 ** (2 * at), "changed": now - timedelta(days=10 * at)}
            for at, (name, state, who, digest) in enumerate(zip(
                ["mortgage-screening", "card-limit", "a-model-with-a-very-long-name-that-somebody-thought-of", "churn"],
                ["in_review", "approved", "rejected", "some_new_state"], [owner, validator, robot, None], digests,
                strict=True))
        ],
        "lines": [
            {"name": "artifact", "value": "model.onnx", "digest": digests[0]},
            {"name": "decision rule", "value": "approve at score ≥ 0.55"},
            {"name": "bias report 88", "digest": digests[1], "note": "opened by you yesterday"},
            {"name": "explanation 89", "digest": digests[2], "note": "not opened by you", "tone": "wait"},
        ],
        "facts": [("Environment", "production"), ("Decision rule", "score ≥ 0.55"), ("Reports", "2 of 5 ever run")],
        "moments": [
            {"text": "Revision 3 submitted", "at": now - timedelta(days=2), "who": owner, "icon": "flag",
             "tone": "info", "url": "?entry=4812", "entry": 4812},
            {"text": "Changes requested", "at": now - timedelta(days=45), "who": validator, "icon": "pen",
             "tone": "wait"},
            {"text": "Bias report 88 succeeded", "at": now - timedelta(hours=3), "icon": "ok", "tone": "ok"},
        ],
        "consequences": ["Production stops answering within 30 seconds.", "Both approvers get a mail."],
        "states": sorted(words.STATES), "names": ["Owner 1", "Developer 2", "Developer 3"],
        "icons": re.findall(r'id="(\w+)"', (settings.BASE_DIR / "static" / "icons.svg").read_text()),
    })  # fmt: skip


def nothing(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse(b"")


urlpatterns = [
    path("", nothing, name="home"),
    # Pages below /theme/ need nobody signed in, so that the gallery needs no database.
    path("theme/gallery/", gallery, name="gallery"),
    path("models/<int:number>/", nothing),
    path("theme/", set_theme, name="theme"),
    path("search/", nothing, name="search"),
    path("account/", nothing, name="account"),
    path("sign-in/", nothing, name="sign-in"),
    path("sign-out/", nothing, name="sign-out"),
    path("docs/", nothing, name="docs"),
    *(path(f"{part}/", nothing) for part in
      ("models", "requests", "findings", "datasets", "endpoints", "reports", "jobs", "audit", "policies", "erasures",
       "people")),
]  # fmt: skip
