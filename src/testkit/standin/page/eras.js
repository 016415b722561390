// Which doors each generation of the page has to the own number. `other` contradicts it.
const users = (other) => {
  const me = () => other() ?? pn();
  const device = (key) => () => giveDevice(stored(key));
  const older = {
    getMeUser: () => must(give(me())),
    getMaybeMeUser: () => give(me()),
  };
  const current = {
    getMaybeMePnUser: () => give(me()),
    getMaybeMeLidUser: () => give(lid()),
    getMaybeMeDevicePn: device("last-wid-md"),
    getMaybeMeDeviceLid: device("WALid"),
    // The trap of this generation: the old name still exists and prefers the LID.
    getMeUser: () => must(give(lid() ?? me())),
  };
  const getters = { store_user: older, comet: older, current, renamed: current }[era];
  const exports = {};
  for (const known in getters) exports[name(known)] = getters[known];
  return getters && exports;
};

if (hasRequire) {
  define("WAWebWid", [], {});
  define("WAWebUserPrefsStore", [], {});
  define("WAWebBaseModel", [], { Model });
  define("WAWebUserPrefsMeUser", ["WAWebWid", "WAWebUserPrefsStore"], users(() => null));
  define("WAWebUserPrefsMultiDevice", ["WAWebUserPrefsMeUser"], { [name("isRegistered")]: isRegistered });
  define("WAWebSocketModel", ["WAWebBaseModel"], { Socket });
  define("WAWebConnModel", ["WAWebBaseModel", "WAWebUserPrefsMeUser"], { Conn });
  window.require = (id) => (id === plan.early_modules ? boot.early : runModule(id));
}

const injectWpp = () => {
  const conn = { getMyUserId: () => give(pn()) ?? undefined };
  if (memoises) conn.getMyUserLid = () => give(lid());
  // wa-js waits for the page.
  window.WPP = { conn, get isReady() { return !hasRequire || boot.done; } };
};
if (era === "wa_js" || plan.injected_wpp) injectWpp();

const injectStore = () => {
  if (era === "wa_js" || era === "blank") return;
  window.Store = { Conn };
  const User = users(() => own.storeMe);
  if (User) window.Store.User = User;
  if (hasRequire) window.Store.State = { Socket };
  own.storeUp = true;
};

const removeStore = () => {
  delete window.Store;
  own.storeUp = false;
};

// Before `require`, a page without a library's Store had no door at all.
if (["conn_me", "conn_wid", "store_user"].includes(era) || plan.injected_store) injectStore();
