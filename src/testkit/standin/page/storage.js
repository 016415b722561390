// Through the page's live `localStorage`, so that whoever watches it sees the writes.
const quoted = (text) => native.json(text);
const keep = (key, text) => localStorage.setItem(key, text);
const forget = (key) => localStorage.removeItem(key);

const guarded = () =>
  localStorage.getItem("WANoiseInfo") !== null && localStorage.getItem("post-logout") !== "1";

// A round starts on an empty profile; its later loads find what the earlier ones left.
if (plan.load === 1) {
  localStorage.clear();
  if (plan.stale_storage) {
    keep("last-wid-md", quoted(plan.former_phone));
    keep("WALid", quoted(plan.former_lid));
    if (plan.stale_storage === "post_logout") {
      keep("WANoiseInfo", quoted("noise"));
      keep("post-logout", "1");
    }
  }
}
own.stored = multiDevice && guarded() && localStorage.getItem("last-wid-md") !== null;

// Restoring the guards must not make a former account's leftovers believable.
const pair = () => {
  if (!guarded()) for (const key of ["last-wid-md", "WALid"]) forget(key);
  keep("WANoiseInfo", quoted("noise"));
  forget("post-logout");
};

// A page whose getters throw is broken as a whole: it writes nothing until it is mended.
const storeOwn = () => {
  if (!plan.storage || era === "blank" || own.throwing) return;
  if (!multiDevice) {
    // One device, one key of another name; the guards came with multi-device.
    if (own.me !== null) keep("last-wid", quoted(own.me.replace(/:\d+@/, "@")));
    return;
  }
  if (own.me === null && own.lid === null) return;
  pair();
  const kept = (jid) => quoted(plan.oversize ? oversize(jid, 2 << 20) : jid);
  if (own.lid !== null) keep("WALid", kept(own.lid));
  if (own.me === null) return;
  keep("last-wid-md", kept(own.me));
  own.stored = !plan.oversize;
};

const clearMe = () => {
  own.me = own.lid = own.storeMe = null;
  own.stored = false;
  for (const key of ["last-wid-md", "last-wid", "WALid"]) forget(key);
};
