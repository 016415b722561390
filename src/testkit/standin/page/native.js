// The page's own copies, taken before a hostile scenario replaces the originals.
const native = {
  Error,
  Map,
  Set,
  Proxy,
  later: window.setTimeout.bind(window),
  fetch: window.fetch.bind(window),
  now: performance.now.bind(performance),
  json: JSON.stringify,
  parse: JSON.parse,
};

// Milliseconds since the epoch, with the fraction that Date lacks.
const epoch = () => performance.timeOrigin + native.now();

if (plan.replaced_builtins) {
  const silent = () => 0;
  const refuse = () => {
    throw new native.Error("replaced by the page");
  };
  // A promise that never settles hangs its caller; one that throws would be noticed at once.
  const Never = function () {};
  Never.prototype.then = Never.prototype.catch = Never.prototype.finally = () => new Never();
  Never.resolve = Never.reject = Never.all = Never.race = Never.any = () => new Never();
  window.Promise = Never;
  for (const name of ["setTimeout", "setInterval", "clearTimeout", "clearInterval"]) window[name] = silent;
  for (const name of ["queueMicrotask", "requestAnimationFrame", "requestIdleCallback"]) window[name] = silent;
  for (const name of ["MessageChannel", "Map", "Set", "WeakMap", "Proxy"]) window[name] = refuse;
  Object.defineProperty(window, "scheduler", { value: { postTask: () => new Never() }, configurable: true });
  window.JSON = { parse: refuse, stringify: refuse };
  performance.now = Date.now = silent;
}

// Durations come as Rust serialises them.
const millis = ({ secs, nanos }) => secs * 1e3 + nanos / 1e6;
