// Modules run on the first `require`, after those that they need; one that threw stays broken.
const boot = { done: false, early: 0 };
const modules = new native.Map();
const define = (known, needs, exports) =>
  modules.set(name(known), { needs: needs.map(name), exports, breaks: plan.breaks_before_boot.includes(known), state: "new" });

const runModule = (id) => {
  const module = modules.get(id);
  if (!module) throw new native.Error(`Requiring unknown module "${id}"`);
  if (module.state === "broken") throw new native.Error(`Requiring module "${id}", which threw an exception`);
  if (module.state === "new") {
    module.state = "broken";
    for (const needed of module.needs) runModule(needed);
    if (!boot.done) boot.early += 1;
    if (!boot.done && module.breaks) throw new native.Error(`Module "${id}" ran before the page booted`);
    module.state = "ran";
  }
  return module.exports;
};

const bootPage = () => {
  if (boot.done) return;
  boot.done = true;
  for (const id of modules.keys()) {
    try {
      runModule(id);
    } catch {
      // Broken by an early `require`: the page continues without it.
    }
  }
  if (era === "blank") return;
  try {
    isRegistered();
  } catch {
    // A scenario whose getters throw.
  }
  const marker = name("Debug.VERSION").replace("Debug.", "");
  window.Debug = { [marker]: "2.3000.1000000000" };
};
