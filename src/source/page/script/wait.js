// Body of one slice of a wait, an `execute/async` script: returns an envelope as soon as it differs from the
// known one, and at the slice's end the present one. scripts.rs fills in `look`.
//
// Two things report a change: writes to localStorage, which backs the getters, and the events of the Socket
// model. A slower look finds what neither reports, and is slower still if both are hooked. All hooks are
// removed before the slice returns; the next slice of the same owner ends a slice that still runs, which returns null.
// Slices of several owners on one page, for instance of two programs, share one hook of the storage: the last one
// that ends takes it out.
const known = arguments[0];
const length = arguments[1];
const pace = arguments[2];
const hookedPace = arguments[3];
const done = arguments[arguments.length - 1];
const look = () => {
__LOOK__
};
const HOOK = '__whatsappPhoneHook';
const attempt = (act) => {
  try {
    return act();
  } catch {
    return undefined;
  }
};
const undo = [];
let hooked = 0;
let isOver = false;
const stop = () => {
  isOver = true;
  for (let i = 0; i < undo.length; i += 1) attempt(undo[i]);
};
const finish = (envelope) => {
  if (isOver) return;
  stop();
  cleanUp();
  done(envelope);
};
const check = () => {
  if (isOver) return undefined;
  const envelope = attempt(look);
  if (envelope && envelope.mark !== known) finish(envelope);
  return envelope;
};
const after = (ms, act) =>
  attempt(() => {
    const timer = window.setTimeout(act, ms);
    undo[undo.length] = () => window.clearTimeout(timer);
  });
// One turn of the page often makes several changes, the number before its confirmation: all of them make one
// answer, at the turn's end. `await` is the language's own, which no page can replace. A number that shows
// only after that turn is found in the next.
let isDue = false;
const checkSoon = async () => {
  if (isDue || isOver) return;
  isDue = true;
  await undefined;
  check();
  after(0, () => {
    isDue = false;
    check();
  });
};

const install = (storage, apply, first) => {
  const original = storage.setItem;
  const slices = { __proto__: null };
  const hook = function setItem() {
    try {
      return apply(original, this, arguments);
    } finally {
      for (const owner in slices) slices[owner].checkSoon();
    }
  };
  const join = (owner, slice) => {
    slices[owner] = slice;
    return () => {
      delete slices[owner];
      for (const other in slices) return;
      // If another script has hooked it after us, their hook stays, and ours in it only passes calls on.
      if (storage.setItem === hook) storage.setItem = original;
    };
  };
  hook[HOOK] = { __proto__: null, join, stop: (owner) => slices[owner]?.stop() };
  storage.setItem = hook;
  return join(OWNER, first);
};
attempt(() => {
  // Taken now: a later replacement by the page must not break the page's own write.
  const { apply } = Reflect;
  if (apply(() => 7, null, []) !== 7) return;
  const storage = window.localStorage.__proto__;
  unhook();
  const slice = { __proto__: null, checkSoon, stop: () => finish(null) };
  const leave = attempt(() => storage.setItem[HOOK].join(OWNER, slice)) ?? install(storage, apply, slice);
  hooked += 1;
  undo[undo.length] = leave;
});
// `require` runs modules, so it waits for the boot, which ends this slice.
const first = check();
if (!isOver && first?.isBooted) {
  attempt(() => {
    const socket = window.require(NAMES.socket_module)[NAMES.socket];
    const on = (event) => {
      socket.on(event, checkSoon);
      undo[undo.length] = () => socket.off(event, checkSoon);
    };
    if (typeof socket.off === 'function') {
      on('change:' + NAMES.socket_state);
      on('change:' + NAMES.socket_synced);
      hooked += 1;
    }
  });
}
const rest = () => after(hooked === 2 ? hookedPace : pace, again);
const again = () => {
  check();
  if (!isOver) rest();
};
if (!isOver) {
  after(length, () => finish(attempt(look) ?? null));
  rest();
}
