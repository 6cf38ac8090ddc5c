// Comfort only: every page works without this file.
"use strict";
(() => {
  const spoken = document.getElementById("spoken");
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  };

  const equip = (root) => {
    const template = document.getElementById("copy-button");
    for (const source of root.querySelectorAll("[data-copy]:not([data-equipped])")) {
      source.dataset.equipped = "";
      const button = template.content.cloneNode(true).firstElementChild;
      button.setAttribute("aria-label", `Copy ${source.querySelector(".short")?.textContent ?? ""}`.trim());
      button.addEventListener("click", async (event) => {
        event.preventDefault();
        await copy(source.dataset.copy);
        button.classList.add("done");
        spoken.textContent = "Copied";
        setTimeout(() => { button.classList.remove("done"); spoken.textContent = ""; }, 1500);
      });
      source.after(button);
    }
    for (const time of root.querySelectorAll("time[title]:not([data-local])")) {
      time.dataset.local = "";
      time.title += `\n${new Date(time.dateTime).toLocaleString(undefined, { timeZoneName: "short" })}`;
    }
  };
  equip(document);
  document.addEventListener("htmx:load", (event) => equip(event.detail.elt));
  document.querySelector("[data-focus]")?.focus();

  // A second click on a submit button is harmless; forms with data-again (downloads) may be sent repeatedly.
  // Not the disabled attribute: it loses the button's own value and the focus, and some browsers keep it on reload.
  const settle = (form, sent) => {
    if (sent) form.dataset.sent = ""; else delete form.dataset.sent;
    for (const button of form.querySelectorAll("[type=submit]")) button.ariaDisabled = sent ? "true" : null;
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented || "again" in form.dataset) return;
    if ("sent" in form.dataset) event.preventDefault();
    else settle(form, true);
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => settle(form, false)));

  const step = (by) => {
    const rows = [...document.querySelectorAll("[data-row]")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    row?.querySelector("a, button")?.focus();
    row?.scrollIntoView({ block: "nearest" });
  };
  const go = { i: "/", m: "/models/", r: "/requests/" };
  let afterG = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const find = document.querySelector("[data-find]");
    const second = afterG;
    afterG = event.key === "g";
    if (second && go[event.key]) location.assign(go[event.key]);
    else if (event.key === "/" && find) { event.preventDefault(); find.focus(); }
    else if (event.key === "?") document.getElementById("keys")?.togglePopover();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
  });
})();
