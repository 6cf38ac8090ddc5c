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

  // A second click on a submit button is harmless; coming back by the back button enables it again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    // Disabled only after the browser has collected the fields, or the button's own value would be lost.
    setTimeout(() => form.querySelectorAll("[type=submit]").forEach((button) => { button.disabled = true; }));
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelectorAll("[type=submit]").forEach((button) => { button.disabled = false; });
    }
  });

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
