// Through the page's live `localStorage`, so that a hook on it sees the writes.
const inStorage = {
  get: (key) => localStorage.getItem(key),
  set: (key, text) => localStorage.setItem(key, text),
  remove: (key) => localStorage.removeItem(key),
  clear: () => localStorage.clear(),
};
// The page of `without_storage` keeps the same values in a place that no reader reads.
const hidden = new native.Map();
const inClosure = {
  get: (key) => hidden.get(key) ?? null,
  set: (key, text) => hidden.set(key, text),
  remove: (key) => hidden.delete(key),
  clear: () => hidden.clear(),
};
const backing = plan.storage && era !== "blank" ? inStorage : inClosure;

const quoted = (text) => native.json(text);
const keep = (key, text) => backing.set(name(key), text);
const forget = (key) => backing.remove(name(key));
const peek = (key) => backing.get(name(key));

// The page's own read: the first one of a key writes the same value back.
const alreadyRead = new native.Set();
const read = (key) => {
  const text = peek(key);
  if (text !== null && !alreadyRead.has(key)) {
    alreadyRead.add(key);
    keep(key, text);
  }
  return text;
};

const isPresent = (text) => text !== null && text !== "" && text !== "null";
const jidOf = (text) => (isPresent(text) ? native.parse(text) : null);

// A scenario starts on an empty profile; its later loads find what the earlier ones left.
if (plan.load === 1) {
  localStorage.clear();
  const former = {
    no_noise_info: { "last-wid-md": quoted(plan.former_phone), WALid: quoted(plan.former_lid) },
    post_logout: {
      "last-wid-md": quoted(plan.former_phone),
      WALid: quoted(plan.former_lid),
      WANoiseInfo: quoted("noise"),
      "post-logout": "1",
    },
    null_text: { "last-wid-md": "null", WALid: "null", WANoiseInfo: "null", "post-logout": "null" },
    mark_alone: { "post-logout": "1" },
  }[plan.stale_storage];
  for (const key in former) keep(key, former[key]);
}
