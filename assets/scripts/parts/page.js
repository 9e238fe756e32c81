// Short ways to the parts of a page, and what a browser keeps of it.
export const SECOND = 1000;

export const $ = (selector) => document.querySelector(selector);
export const all = (selector) => [...document.querySelectorAll(selector)];
export const on = (event, act, capture) => document.addEventListener(event, act, capture);
export const live = () => $("[data-live]");

export const isPoll = (element) => element?.matches?.("[data-poll]");
export const isSidePoll = (element) => element?.matches?.("[data-side-poll]"); // of a part beside the live one

export function remember(key, value) {
  try { localStorage.setItem(`bgjobs-${key}`, value); } catch { /* forbidden */ }
}

export function recall(key) {
  try { return localStorage.getItem(`bgjobs-${key}`); } catch { return null; }
}
