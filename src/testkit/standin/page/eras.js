// Which doors each generation of the page has to the own number.
const users = (me) => ({
  store_user: { getMeUser: () => must(give(me())), getMaybeMeUser: () => give(me()) },
  comet: { getMeUser: () => must(give(me())), getMaybeMeUser: () => give(me()) },
  current: {
    getMaybeMePnUser: () => give(me()),
    getMaybeMeLidUser: () => give(own.lid),
    // The trap of this generation: the old name lives on and prefers the LID.
    getMeUser: () => must(give(own.lid ?? me())),
  },
  renamed: { getOwnPnUser: () => give(me()), getOwnLidUser: () => give(own.lid) },
})[era];

if (webpackGone) {
  const modules = new native.Map([
    ["WAWebUserPrefsMeUser", users(() => own.me)],
    ["WAWebSocketModel", { Socket }],
    ["WAWebConnModel", { Conn }],
  ]);
  window.require = (name) => {
    if (!modules.has(name)) throw new native.Error(`Requiring unknown module "${name}"`);
    return modules.get(name);
  };
}

if (era === "wa_js") {
  window.WPP = { isReady: true, conn: { getMyUserId: () => give(own.me) ?? undefined } };
}

const injectStore = () => {
  if (era === "wa_js" || era === "blank") return;
  window.Store = { Conn };
  const User = users(() => own.storeMe ?? own.me);
  if (User) window.Store.User = User;
  if (webpackGone) window.Store.State = { Socket };
  own.storeUp = true;
};

const removeStore = () => {
  delete window.Store;
  own.storeUp = false;
};

// Before `require`, a page without a library's Store had no door at all.
if (["conn_me", "conn_wid", "store_user"].includes(era) || plan.injected_store) injectStore();
