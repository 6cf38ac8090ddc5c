from django import forms


class CancelForm(forms.Form):
    reason = forms.CharField(
        max_length=500, required=False, label="Why", help_text="A few words for the audit log.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip


class JobFilter(forms.Form):
    state = forms.ChoiceField(
        required=False,
        choices=[("", "any"), ("queued", "Queued"), ("running", "Running"), ("succeeded", "Succeeded"),
                 ("failed", "Failed"), ("cancelled", "Cancelled")],
    )  # fmt: skip
    before = forms.IntegerField(required=False, widget=forms.HiddenInput)
    after = forms.IntegerField(required=False, widget=forms.HiddenInput)
