from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.factors.forms import INSTEAD, code_field, hidden
from accounts.factors.passkeys import LONGEST
from accounts.models import Team, User
from approvals import workflow
from approvals.models import Decision, Policy
from registry.models import Model

ENVIRONMENTS = [(name, name.capitalize()) for name in workflow.ENVIRONMENTS]


def area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})


class EvidenceForm(forms.Form):
    """The evidence to freeze, each a tick box; ticked unless somebody takes it out."""

    evidence = forms.TypedMultipleChoiceField(
        coerce=int, required=False, label="Evidence", widget=forms.CheckboxSelectMultiple,
        help_text="All of it unless you say otherwise. What you leave out stays listed beside the request.",
    )  # fmt: skip

    def __init__(self, *args: Any, choices: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["evidence"].choices = choices  # type: ignore[attr-defined]
        self.fields["evidence"].initial = [pk for pk, _ in choices]
        if not choices:
            del self.fields["evidence"]


class SubmitForm(EvidenceForm):
    environment = forms.ChoiceField(choices=ENVIRONMENTS, initial="production")
    use = forms.CharField(
        max_length=60, label="Intended use",
        help_text="What it decides, in small letters, digits and hyphens: mortgage-screening. The approval is for "
        "this use alone.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip
    note = forms.CharField(
        required=False, max_length=5000, label="What reviewers should know", widget=area(4),
        help_text="It opens the conversation. Answer here what was said about earlier requests.",
    )  # fmt: skip
    field_order = ("environment", "use", "note", "evidence")


class ReviseForm(EvidenceForm):
    note = forms.CharField(max_length=5000, label="What changed, or your answer", widget=area(4))
    field_order = ("note", "evidence")


class CommentForm(forms.Form):
    """What it may name the service says; here are the lists to choose from, once `offer` has filled them."""

    text = forms.CharField(
        max_length=10_000, label="Your comment", widget=area(3),
        help_text="Write @ and somebody's full name to mention them.",
    )  # fmt: skip
    mentions = forms.CharField(
        required=False, max_length=36, label="Mention", widget=forms.Select, help_text="They are told, if they wish."
    )
    about = forms.CharField(required=False, max_length=80, label="About", widget=forms.Select)

    def offer(self, people: Iterable[User], parts: list[Any]) -> None:
        chosen = [(str(each.opaque_id), each.name) for each in people]
        self.fields["mentions"].widget.choices = [("", "nobody else"), *chosen]
        self.fields["about"].widget.choices = parts

    @property
    def said(self) -> dict[str, Any]:
        chosen = self.cleaned_data["mentions"]
        return {**self.cleaned_data, "mentions": [chosen] if chosen else []}


class WithdrawForm(forms.Form):
    reason = forms.CharField(
        max_length=5000, label="Why", widget=area(2), help_text="Kept in the audit log and shown on the request."
    )


class RevokeForm(forms.Form):
    reason = forms.CharField(
        max_length=5000, label="Why", widget=area(3), help_text="Kept in the audit log and shown wherever it was used."
    )
    name = forms.CharField(
        max_length=60, label="Name of the model", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.strip() != self.expected:
            raise forms.ValidationError(f"Type {self.expected} exactly, to confirm that you mean this model.")
        return name


class ProofForm(forms.Form):
    """Who signs: a password, a password and a code, or what static/passkeys.js fills in of a passkey."""

    password = forms.CharField(
        max_length=200, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", **INSTEAD}),
        help_text="It proves that it is you who signs, now.",
    )  # fmt: skip
    code = code_field("Code", "Beside the password: what your authenticator app shows now.", **INSTEAD)
    passkey = hidden(LONGEST)
    ticket = hidden(2000)

    def __init__(self, *args: Any, app: bool, passkeys: bool, needed: bool, **kwargs: Any) -> None:
        """`app`, `passkeys`: what the signer has; `needed`: a password alone is too little.

        Where it is and they have no app, only a passkey is left: then neither password nor code is asked for.
        """
        super().__init__(*args, **kwargs)
        answered, self.passkeys, self.passkey_only = bool(self.data.get("passkey")), passkeys, needed and not app
        self.fields["password"].required, self.fields["code"].required = not answered, needed and not answered
        if not app:
            del self.fields["code"]
        if self.passkey_only:
            del self.fields["password"]


class SignForm(ProofForm):
    """One decision. `requirement`, `outcome` and `digest` are what the page showed; the digest is checked again."""

    requirement = forms.CharField(widget=forms.HiddenInput)
    outcome = forms.ChoiceField(choices=Decision.Outcome.choices, widget=forms.HiddenInput)
    digest = forms.CharField(widget=forms.HiddenInput)
    on_behalf_of = forms.ChoiceField(
        required=False, label="In whose place", help_text="Your signature then counts as yours and as theirs."
    )
    acknowledged = forms.MultipleChoiceField(
        required=False, label="Known limitations that you acknowledge", widget=forms.CheckboxSelectMultiple
    )
    comment = forms.CharField(
        max_length=5000, label="Your reasoning", widget=area(4),
        help_text="Kept with the signature. What did you look at, and what convinced you?",
    )  # fmt: skip
    field_order = ("requirement", "outcome", "digest", "on_behalf_of", "acknowledged", "comment", "password", "code")

    def __init__(self, *args: Any, limitations: list[workflow.Reason], outcome: str, givers: list[User],
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(*args, **kwargs)
        choices = [("", "for myself"), *((str(each.opaque_id), f"for {each.name}") for each in givers)]
        self.fields["on_behalf_of"].choices = choices  # type: ignore[attr-defined]
        if not givers:
            del self.fields["on_behalf_of"]
        field = self.fields["acknowledged"]
        field.choices = [(each.code, each.sentence) for each in limitations]  # type: ignore[attr-defined]
        field.required = True
        field.error_messages["required"] = "Tick each one to say that you sign with it in view, or ask for changes."
        if outcome not in (*workflow.APPROVING, workflow.EMERGENCY) or not limitations:
            del self.fields["acknowledged"]


class RecuseForm(forms.Form):
    reason = forms.CharField(
        max_length=5000, label="Why", widget=area(2), help_text="Kept in the audit log and shown on the request."
    )


class DelegationForm(forms.Form):
    """Whom one lets sign in one's place. `people` are those who could."""

    taker = forms.ModelChoiceField(User.objects.none(), label="Who signs in your place")
    team = forms.ModelChoiceField(
        Team.objects.none(), required=False, label="For requests of", empty_label="every team"
    )
    ends_on = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}), help_text="The end of that day (UTC)."
    )
    reason = forms.CharField(max_length=5000, label="Why", widget=area(2), help_text="Kept in the audit log.")
    password = forms.CharField(
        max_length=200, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text="It proves that it is you who hands this over.",
    )  # fmt: skip

    def __init__(self, *args: Any, people: Any, teams: Any, everywhere: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["taker"].queryset = people  # type: ignore[attr-defined]
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]
        self.fields["team"].required = not everywhere


class RequestFilter(forms.Form):
    state = forms.ChoiceField(required=False)
    environment = forms.ChoiceField(required=False, choices=[("", "any"), *ENVIRONMENTS])
    model = forms.CharField(required=False, max_length=120)
    before = forms.IntegerField(required=False)


class ScopeForm(forms.Form):
    """A team, a use and a risk tier; any of them may be left open."""

    team = forms.ModelChoiceField(Team.objects.all(), required=False, empty_label="any team")
    use = forms.CharField(
        max_length=60, required=False, help_text="As people write it when they ask for approval. Empty: any use."
    )
    tier = forms.ChoiceField(choices=[("", "any risk tier"), *Model.Tier.choices], required=False, label="Risk tier")


class BindingForm(ScopeForm):
    policy = forms.ModelChoiceField(
        Policy.objects.all(), required=False, empty_label="none of its own: what is bound more widely governs",
        help_text="Its newest version, at the time of each request.",
    )  # fmt: skip
    note = forms.CharField(max_length=5000, label="Why", widget=area(3), help_text="Kept in the audit log.")


class GoverningForm(ScopeForm):
    team = forms.ModelChoiceField(Team.objects.all(), required=False, empty_label="another team")
    use = forms.CharField(max_length=60, required=False)
    tier = forms.ChoiceField(choices=Model.Tier.choices, initial=Model.Tier.HIGH, label="Risk tier")


class DecideForm(forms.Form):
    """A decision on a proposal; `digest` is that of the text on the page."""

    digest = forms.CharField(required=False, max_length=71, widget=forms.HiddenInput)
    answer = forms.CharField(
        required=False, max_length=5000, label="Your answer", widget=area(3), help_text="To decline, say why."
    )
