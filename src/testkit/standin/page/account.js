// The values that this document's own `setMe` has set, and the getters' results that tests set.
const own = { me: null, lid: null, storeMe: null, throwing: false, storeUp: false, loggedOut: false };

class Wid {
  constructor(jid) {
    const [user, server] = jid.split("@");
    const [digits, device] = user.split(":");
    this.server = server;
    this.user = digits;
    if (device) this.device = +device;
    this._serialized = jid;
  }
  toString() {
    return this._serialized;
  }
}

const oversize = (jid, length) => jid.replace("@", "0".repeat(length) + "@");

const failIfThrowing = () => {
  if (own.throwing) throw new native.Error("Cannot read properties of undefined (reading 'me')");
};

const giveDevice = (jid) => {
  failIfThrowing();
  if (jid === null) return memoises ? undefined : null;
  const refuse = { get: () => { throw new native.Error("hostile proxy"); } };
  // Looking up any trap throws, so every operation on the outer proxy does.
  if (plan.proxy) return new native.Proxy({}, new native.Proxy({}, refuse));
  const given = plan.oversize ? oversize(jid, 10 << 20) : jid;
  return plan.wid_form === "text" ? given : new Wid(given);
};
const give = (jid) => giveDevice(jid && jid.replace(/:\d+@/, "@"));

// Getters without "Maybe" in their name throw when there is nothing.
const must = (wid) => {
  if (wid == null) throw new native.Error("me user is not set");
  return wid;
};

const stored = (key) => (multiDevice ? jidOf(read(key)) : null);
// The page's own knowledge, which leaves no trace.
const number = () => own.me ?? (multiDevice ? jidOf(peek("last-wid-md")) : null);

// The first answer stays, `nobody` included; only `setMe` replaces it.
const memo = { pn: null, lid: null };
const pn = () => (memoises ? (memo.pn ??= { jid: own.me ?? stored("last-wid-md") }).jid : own.me ?? stored("last-wid-md"));
const lid = () => (memo.lid ??= { jid: own.lid ?? stored("WALid") }).jid;

// WhatsApp's own test. It reads the number by the getter that does not memoise.
const isRegistered = () => {
  failIfThrowing();
  return isPresent(read("WANoiseInfo")) && stored("last-wid-md") !== null;
};
const isReallyRegistered = () => isPresent(peek("WANoiseInfo")) && jidOf(peek("last-wid-md")) !== null;

// A page whose getters throw is broken as a whole: it writes nothing until it works again.
const storeOwn = () => {
  if (own.throwing || (own.me === null && own.lid === null)) return;
  if (!multiDevice) {
    // One device, one key of another name.
    if (own.me !== null) keep("last-wid", quoted(own.me.replace(/:\d+@/, "@")));
    return;
  }
  storeKeys(own.me, own.lid);
};

const storeKeys = (me, ownLid) => {
  const wasLoggedOut = !isPresent(peek("WANoiseInfo")) || peek("post-logout") === "1";
  // The keys of a former account must not become believable by the new account's noise key.
  if (wasLoggedOut) for (const key of ["last-wid-md", "WALid"]) forget(key);
  keep("WANoiseInfo", quoted("noise"));
  keep("WebEncKeySalt", quoted("salt"));
  if (!plan.keeps_post_logout) forget("post-logout");
  const text = (jid) => quoted(plan.oversize ? oversize(jid, 2 << 20) : jid);
  if (ownLid !== null) keep("WALid", text(ownLid));
  if (me !== null) keep("last-wid-md", text(me));
};

const setMe = (jid) => {
  // The real `setMe` sets both, so the next account does not inherit the former LID.
  if (own.loggedOut) own.lid = memo.lid = null;
  own.loggedOut = false;
  own.me = jid;
  memo.pn = { jid };
  storeOwn();
};

const setLid = (jid) => {
  own.lid = jid;
  memo.lid = { jid };
  storeOwn();
};

const removeNumber = () => {
  own.me = own.storeMe = null;
  memo.pn = { jid: null };
  for (const key of ["last-wid-md", "last-wid"]) forget(key);
};

const clearMe = () => {
  removeNumber();
  own.lid = null;
  memo.lid = { jid: null };
  forget("WALid");
};
