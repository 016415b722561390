const block = (ms) => {
  const end = native.now() + ms;
  while (native.now() < end);
};

const LOGOUT_GAP_MS = 50;

const actions = {
  set_me: ({ jid }) => {
    own.me = jid;
    storeOwn();
  },
  set_store_me: ({ jid }) => {
    own.storeMe = jid;
  },
  set_lid: ({ jid }) => {
    own.lid = jid;
    storeOwn();
  },
  socket: ({ state, has_synced }) => setLink({ state, hasSynced: has_synced }),
  throwing: (on) => {
    own.throwing = on;
    storeOwn();
  },
  reload: () => location.reload(),
  navigate: ({ url }) => location.assign(url),
  dialog: ({ text }) => alert(text),
  logout: () => {
    // The real order: the guard falls first, the number last.
    forget("WANoiseInfo");
    own.stored = false;
    native.later(() => setLink({ state: "UNPAIRED" }), LOGOUT_GAP_MS);
    native.later(() => {
      clearMe();
      if (multiDevice) keep("post-logout", "1");
      setLink({ hasSynced: false });
    }, 2 * LOGOUT_GAP_MS);
  },
  clear_me: clearMe,
  open_tab: ({ url }) => window.open(url, "_blank"),
  block_main_thread: ({ ms }) => block(ms),
  hang: () => {
    for (;;);
  },
  busy_loop: ({ percent }) => {
    const period = 50;
    const busy = (period * Math.min(percent, 100)) / 100;
    const turn = () => {
      block(busy);
      native.later(turn, period - busy);
    };
    turn();
  },
  remove_store: removeStore,
  inject_store: injectStore,
};

const readable = () => {
  if (own.stored) return true;
  if (own.me === null || own.throwing || plan.proxy || plan.oversize) return false;
  return own.storeUp ? era !== "renamed" : ["comet", "current", "wa_js"].includes(era);
};

// The moment is taken before the step and sent in a later turn, so that no reader waits for the report.
let reported = false;
const report = (at) => {
  if (reported || !readable()) return;
  reported = true;
  const body = native.json({ round: plan.round, load: plan.load, at });
  const send = { method: "POST", keepalive: true, headers: { "content-type": "application/json" }, body };
  native.later(() => native.fetch("/readable", send).catch(() => {}), 0);
};

const run = (steps) => {
  for (const step of steps) {
    const at = epoch();
    actions[step.step](step.with);
    report(at);
  }
};

report(epoch()); // storage that an earlier load left

// Steps of one moment share one turn.
const moments = new native.Map();
for (const [after, step] of plan.loads[Math.min(plan.load, plan.loads.length) - 1] ?? []) {
  const ms = after.secs * 1e3 + after.nanos / 1e6;
  moments.set(ms, [...(moments.get(ms) ?? []), step]);
}
// Timers first: a step at zero may block, and must not push the others back.
for (const [ms, steps] of moments) if (ms > 0) native.later(() => run(steps), ms);
run(moments.get(0) ?? []);
