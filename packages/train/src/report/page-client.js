// @ts-check
// The report's script: no module, it runs inside the page as it is here. page.ts has its hash.
(() => {
  const MINUTE = 60e3;
  const { status, written } = document.documentElement.dataset;
  const storageKey = `gpugrad ${location.pathname}`;
  const tip = byId("tip");

  showTips();
  restorePosition();
  if (status === "training") followRun(Number(written));

  /** @param {string} id */
  function byId(id) {
    return /** @type {HTMLElement} */ (document.getElementById(id));
  }

  /** Shows the `<title>` of what the pointer is at, in a drawing. */
  function showTips() {
    /** @param {PointerEvent} event */
    const show = (event) => {
      /** @type {SVGElement | null | undefined} */
      const at = /** @type {Element} */ (event.target).closest?.("svg *");
      const title = at?.querySelector(":scope > title");
      if (at && title) {
        at.dataset.tip = title.textContent; // or else the browser shows its own, too
        title.remove();
      }
      const text = at?.dataset.tip;
      tip.hidden = !text;
      if (!text) return;
      tip.textContent = text;
      const { width, height } = tip.getBoundingClientRect();
      const above = event.clientY - height - 12;
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
      tip.style.top = `${above < 4 ? event.clientY + 18 : above}px`;
    };
    addEventListener("pointermove", show);
    addEventListener("pointerdown", show);
    addEventListener("scroll", () => void (tip.hidden = true), { passive: true });
  }

  /** Keeps scroll position and opened details for the page that is loaded next. Without storage, that one begins at the top. */
  function savePosition() {
    const details = [...document.querySelectorAll("details")];
    const opened = details.filter(({ id, open }) => id && open).map(({ id }) => id);
    try {
      sessionStorage.setItem(storageKey, JSON.stringify({ x: scrollX, y: scrollY, opened }));
    } catch {
      // storage is switched off, or full
    }
  }

  function restorePosition() {
    /** @type {string | null} */
    let saved = null;
    try {
      saved = sessionStorage.getItem(storageKey);
      sessionStorage.removeItem(storageKey);
    } catch {
      // storage is switched off
    }
    if (!saved) return;
    history.scrollRestoration = "manual";
    /** @type {unknown} */
    const position = JSON.parse(saved);
    const { x, y, opened } = /** @type {{ x: number, y: number, opened: string[] }} */ (position);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    scrollTo({ left: x, top: y, behavior: "instant" });
  }

  /**
   * Loads the page again and again while training is under way, unless somebody is reading closely. A run that was killed can't say so:
   * after ten minutes without a new page it isn't called training any more, and after an hour nothing is loaded again.
   *
   * @param {number} writtenAt when the run wrote this page
   */
  function followRun(writtenAt) {
    const loadedAt = Date.now();
    const check = () => {
      const minutes = Math.floor((Date.now() - writtenAt) / MINUTE);
      const isSilent = minutes >= 10;
      const isOver = minutes >= 60;
      if (isSilent) showSilence(minutes, isOver);
      const isRead = !tip.hidden || String(getSelection()) || document.querySelector("details.text[open]");
      if (isOver || isRead || document.hidden || Date.now() - loadedAt < (isSilent ? MINUTE : 5e3)) return;
      savePosition();
      location.reload();
    };
    check();
    setInterval(check, 500);
  }

  /**
   * @param {number} minutes without a new page
   * @param {boolean} isOver
   */
  function showSilence(minutes, isOver) {
    const hours = Math.floor(minutes / 60);
    const time =
      minutes < 120 ? `${minutes} minutes` : hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
    const pill = byId("status");
    pill.textContent = `no news for ${time}`;
    pill.className = "status stopped";
    const note = byId("stale");
    note.hidden = false;
    note.textContent =
      `The run has written nothing for ${time}: it was killed, or its machine is asleep.` +
      (isOver ? " This page no longer reloads itself." : "");
  }
})();
