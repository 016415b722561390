// Body of one slice of a wait, an `execute/async` script: answers an envelope the moment it differs
// from the one known, and at the slice's end whatever there is. `look` is put in by probe.rs.
//
// What tells of a change: writes to localStorage, where the getters' backing store is, and the
// events of the Socket model. A slow look finds what neither tells, and is slower still where both
// are heard. All hooks are taken out before the answer; the next slice takes out what one left that
// was cut short.
const known = arguments[0];
const length = arguments[1];
const pace = arguments[2];
const easyPace = arguments[3];
const done = arguments[arguments.length - 1];
const look = () => {
__PROBE__
};
const LEFT = '__whatsappPhoneUndo';
const attempt = (act) => {
  try {
    return act();
  } catch {
    return undefined;
  }
};
const undo = [];
let heard = 0;
let isOver = false;
const retire = () => {
  isOver = true;
  for (let i = 0; i < undo.length; i += 1) attempt(undo[i]);
};
const finish = (envelope) => {
  if (isOver) return;
  retire();
  sweep();
  done(envelope);
};
const check = () => {
  if (isOver) return;
  const envelope = attempt(look);
  if (envelope && envelope.mark !== known) finish(envelope);
};
const after = (ms, act) =>
  attempt(() => {
    const timer = window.setTimeout(act, ms);
    undo[undo.length] = () => window.clearTimeout(timer);
  });
// A turn of the page often tells of several changes, the number before what confirms it: all of them
// make one answer, at the turn's end. The language's own `await`, which no page can replace. Should
// the page show the number only after that turn, the next one finds it.
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

attempt(() => {
  // Taken now: what the page puts in its place later must not fail the page's own write.
  const { apply } = Reflect;
  if (apply(() => 7, null, []) !== 7) return;
  const storage = window.localStorage.__proto__;
  attempt(() => storage.setItem[LEFT]());
  const original = storage.setItem;
  const hook = function setItem() {
    try {
      return apply(original, this, arguments);
    } finally {
      checkSoon();
    }
  };
  hook[LEFT] = retire;
  storage.setItem = hook;
  heard += 1;
  undo[undo.length] = () => {
    // Somebody who has hooked it after us keeps what he has: ours only passes on from now on.
    if (storage.setItem === hook) storage.setItem = original;
  };
});
attempt(() => {
  const socket = window.require('WAWebSocketModel').Socket;
  const on = (event) => {
    socket.on(event, checkSoon);
    undo[undo.length] = () => socket.off(event, checkSoon);
  };
  if (typeof socket.off === 'function') {
    on('change:state');
    on('change:hasSynced');
    heard += 1;
  }
});
const again = () => {
  check();
  if (!isOver) after(heard === 2 ? easyPace : pace, again);
};
after(length, () => finish(attempt(look) ?? null));
again();
