const TURN_MS = 10;
const MARK_MS = 100;
const DATABASES_MS = 80;

// Keys that survive a logout; one that was never set is written back as the text "null".
const PRESERVED = ["WALangPref", "WAUnknownID"];

const clearStorage = () => {
  const kept = new native.Map(PRESERVED.map((key) => [key, peek(key)]));
  backing.clear();
  for (const [key, text] of kept) keep(key, text ?? "null");
};

// Steps of a logout in their real order, each with the time that it comes after the one before.
const logout = ({ refused, with_error, network, navigation, hold }) => {
  const mark = () => multiDevice && keep("post-logout", "1");
  const steps = [
    ["marked", 0, () => refused && mark()],
    ["keys_removed", refused ? MARK_MS : 0, () => {
      own.loggedOut = true;
      forget("WANoiseInfo");
      forget("WebEncKeySalt");
    }],
    ["network_done", millis(network), () => {}],
    ["sync_unset", 0, () => setLink({ hasSynced: undefined })],
    ["number_removed", TURN_MS, removeNumber],
    ["storage_cleared", TURN_MS, clearStorage],
    ["databases_destroyed", DATABASES_MS, () => with_error && mark()],
  ];
  if (navigation) steps.push(["navigated", millis(navigation), () => leave(() => location.reload())]);
  const next = ([step, ...rest], extra) => {
    if (!step) return;
    const [id, ms, act] = step;
    after(ms + extra, () => {
      act();
      if (hold?.after !== id) next(rest, 0);
      else if (hold.length) next(rest, millis(hold.length));
    });
  };
  next(steps, 0);
};
