from __future__ import annotations

from django import forms

from inference.upstreams import rules
from registry.forms import RefusableForm

PLAIN = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}


def text(label: str, most: int, help_text: str) -> forms.CharField:
    widget = forms.TextInput(attrs=PLAIN)
    return forms.CharField(label=label, max_length=most, required=False, widget=widget, help_text=help_text)


class UpstreamForm(RefusableForm):
    kind = forms.ChoiceField(
        label="Predictions are made by", choices=list(rules.KINDS.items()), widget=forms.RadioSelect
    )
    url = text(
        "Address",
        500,
        "https://host, for plain JSON with its path. Everybody who sees the endpoint sees it: no secrets.",
    )
    model_name = text("Name of the model there", 120, "For the Open Inference Protocol and TensorFlow Serving.")
    model_version = text("Version there", 120, "If that server shall be asked for one.")
    rows_at = text(
        "Where the rows go", 500, "For plain JSON, such as data.rows. Without it the body is the list of rows itself."
    )
    row_form = forms.ChoiceField(label="A row is", choices=list(rules.ROW_FORMS.items()), initial=rules.VALUES)
    predictions_at = text(
        "Where the predictions are", 500, "For plain JSON, such as result.scores: a list with one entry for each row."
    )
    version_at = text(
        "Where the answer says its model version", 500,
        "Such as model.version. An answer that does not name the approved version is then refused.",
    )  # fmt: skip
    seconds = forms.IntegerField(label="Seconds to wait for an answer", initial=10)
    header_name = text("Header with a secret", 60, "Such as Authorization, if that server wants one.")
    secret = forms.CharField(
        label="Its value", max_length=4000, required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Such as “Bearer …”. Kept sealed and never shown; leave it empty to keep the one before.",
    )  # fmt: skip
