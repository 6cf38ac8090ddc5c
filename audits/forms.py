from django import forms


class ExportForm(forms.Form):
    type = forms.ChoiceField(
        label="Format", initial="jsonl", widget=forms.RadioSelect,
        choices=[("jsonl", "JSON Lines, with the exact bytes of each event"), ("csv", "CSV, for spreadsheets")],
    )  # fmt: skip
