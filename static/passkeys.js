// Asks the browser for a passkey and sends its answer with the form. Only passkeys need this file.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

  const opened = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: named(options.excludeCredentials) }),
    ...(options.allowCredentials && { allowCredentials: named(options.allowCredentials) }),
  });

  const told = ({ rawId, type, response }) => ({
    id: text(rawId),
    rawId: text(rawId),
    type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      ...(response.attestationObject && { attestationObject: text(response.attestationObject) }),
      ...(response.authenticatorData && { authenticatorData: text(response.authenticatorData) }),
      ...(response.signature && { signature: text(response.signature) }),
    },
    clientExtensionResults: {},
  });

  // A challenge lives two minutes and reading takes longer: where the form says so, it is fetched when it is needed.
  const challenge = async (form) => {
    if (!form.dataset.challenge) return { ticket: form.elements.ticket.value, options: JSON.parse(form.dataset.options) };
    const answer = await fetch(form.dataset.challenge, { headers: { Accept: "application/json" } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    return body;
  };

  const ask = async (form, said) => {
    const instead = form.querySelectorAll("[data-instead]");
    instead.forEach((field) => { field.required = false; });
    const whole = form.reportValidity();
    instead.forEach((field) => { field.required = "needed" in field.dataset; });
    if (!whole) return;
    said.textContent = "Your browser asks for the passkey.";
    try {
      const { ticket, options } = await challenge(form);
      const publicKey = opened(options);
      const making = form.dataset.passkey === "create";
      const credential = await (making ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey }));
      form.elements.ticket.value = ticket;
      form.elements.passkey.value = JSON.stringify(told(credential));
      form.submit();
    } catch (error) {
      const known = error.name === "InvalidStateError" ? "This device holds one of your passkeys already." : "";
      const stopped = error.name === "NotAllowedError" ? "The passkey was not used: it was cancelled, or took too long." : "";
      said.textContent = `${known || stopped || error.message} Nothing was sent. Try again, or use another way.`;
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("[data-passkey-ask]");
    const said = form.querySelector("[data-passkey-said]");
    form.querySelectorAll("[data-instead]").forEach((field) => { if (field.required) field.dataset.needed = ""; });
    if (!window.PublicKeyCredential) {
      said.textContent = "This browser has no passkeys here.";
      continue;
    }
    button.hidden = false;
    button.addEventListener("click", () => ask(form, said));
  }
})();
