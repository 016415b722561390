// A report is sent in a later turn, so that no reader waits for it.
const send = (what, at) => {
  const body = native.json({ round: plan.round, load: plan.load, what, at });
  const post = { method: "POST", keepalive: true, headers: { "content-type": "application/json" }, body };
  native.later(() => native.fetch("/report", post).catch(() => {}), 0);
};

const isNamed = (...known) => known.some((it) => !renamed.has(it));
const canReadGetters = () => {
  if (own.throwing || plan.proxy || plan.oversize) return false;
  if (era === "wa_js" || plan.injected_wpp) return true;
  if (["conn_me", "conn_wid"].includes(era)) return own.storeUp;
  const getters = memoises ? ["getMaybeMePnUser", "getMaybeMeDevicePn"] : ["getMaybeMeUser", "getMeUser"];
  return isNamed(...getters) && (own.storeUp || (hasRequire && isNamed("WAWebUserPrefsMeUser")));
};
const canReadStorage = () =>
  multiDevice && backing === inStorage && !plan.oversize && isNamed("last-wid-md") && isReallyRegistered();

// The number, and all that confirms it on pages that have a `Socket`.
const isReadable = () => {
  if (era === "blank" || number() === null || !(canReadStorage() || canReadGetters())) return false;
  if (!hasRequire) return true;
  return isReallyRegistered() && shown().state === "CONNECTED" && shown().hasSynced === true;
};

let isReported = false;
const reportReadable = (at) => {
  if (isReported || !isReadable()) return;
  isReported = true;
  send("readable", at);
};

// All that happens on the page goes through here. The moment is taken before it happens.
const happen = (act) => {
  const at = epoch();
  act();
  reportReadable(at);
  updateQr();
};

// When nothing is pending any more, the page has settled.
let pending = 1;
const finish = () => {
  pending -= 1;
  if (pending === 0) send("settled", epoch());
};
// A page that is about to leave does not settle.
const leave = (go) => {
  pending += 1;
  go();
};
const after = (ms, act) => {
  if (ms === 0) return happen(act);
  pending += 1;
  native.later(() => {
    happen(act);
    finish();
  }, ms);
};
