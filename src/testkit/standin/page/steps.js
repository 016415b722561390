const block = (ms) => {
  const end = native.now() + ms;
  while (native.now() < end);
};

const actions = {
  set_me: ({ jid }) => setMe(jid),
  set_store_me: ({ jid }) => {
    own.storeMe = jid;
  },
  set_lid: ({ jid }) => setLid(jid),
  restore: ({ me, lid: ownLid }) => storeKeys(me, ownLid),
  guest: ({ jid }) => {
    keep("GuestExperienceType", quoted("CALL"));
    keep("last-wid-md", quoted(jid));
  },
  read_me: () => {
    pn();
    lid();
  },
  socket: ({ state, has_synced }) => setLink({ state, hasSynced: has_synced || undefined }),
  throwing: (on) => {
    own.throwing = on;
    storeOwn();
  },
  reload: () => leave(() => location.reload()),
  navigate: ({ url }) => leave(() => location.assign(url)),
  dialog: ({ text }) => alert(text),
  logout: () => logout(plan.plain_logout),
  logout_as: logout,
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
  boot: bootPage,
  launch: () => setLink({ launched: true }),
  remove_store: removeStore,
  inject_store: injectStore,
};

const run = (steps) => {
  for (const step of steps) happen(() => actions[step.step](step.with));
};

happen(() => {}); // storage that an earlier load left

// Steps of one moment share one turn. Timers first: a step at zero may block, and must not push the
// others back.
const runTimeline = (timeline) => {
  const moments = new native.Map();
  for (const [time, step] of timeline) {
    const ms = millis(time);
    moments.set(ms, [...(moments.get(ms) ?? []), step]);
  }
  for (const [ms, steps] of moments) if (ms > 0) after(ms, () => run(steps));
  run(moments.get(0) ?? []);
};

if (plan.boot_after) {
  const bootMs = millis(plan.boot_after);
  after(bootMs, bootPage);
  if (plan.launch_after) after(Math.max(bootMs, millis(plan.launch_after)), () => setLink({ launched: true }));
}
runTimeline(plan.loads[Math.min(plan.load, plan.loads.length) - 1] ?? []);
finish();

if (plan.after_signal.length) {
  const signalled = native.fetch(`/signal?round=${plan.round}&load=${plan.load}`);
  signalled.then((answer) => {
    if (!answer.ok) return;
    pending += 1;
    runTimeline(plan.after_signal);
    finish();
  }).catch(() => {});
}
