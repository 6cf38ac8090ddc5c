from django import forms

from notifications.models import Notification


class OutboxFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=[("", "any"), *Notification.State.choices])
    before = forms.IntegerField(required=False, widget=forms.HiddenInput)
