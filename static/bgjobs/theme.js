// Runs before the page is painted, so that a chosen theme never flashes. The rest is in bgjobs.js.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("bgjobs-theme"); } catch { /* storage may be forbidden */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.scripted = "";
})();
