// Sets the theme before anything is painted; src/design/theme.ts writes the choice.
(function () {
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function paint() {
    var choice = null;
    try {
      choice = localStorage.getItem("taskyard-theme");
    } catch (refused) {
      // A browser that keeps nothing shows what the system says.
    }
    var isDark = choice === "dark" || (choice !== "light" && dark.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  }
  paint();
  dark.addEventListener("change", paint);
  addEventListener("storage", paint);
  addEventListener("taskyard-theme", paint);
})();
