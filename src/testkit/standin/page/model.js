// What the session knows of itself. Closed over: outside, only getters, storage and events show it.
const own = { me: null, lid: null, storeMe: null, throwing: false, storeUp: false, stored: false };

const era = plan.generation;
const multiDevice = !["conn_me", "conn_wid", "blank"].includes(era);
const webpackGone = ["comet", "current", "renamed"].includes(era);

class Wid {
  constructor(jid) {
    const [user, server] = jid.split("@");
    this.server = server;
    this.user = user;
    this._serialized = jid;
  }
  toString() {
    return this._serialized;
  }
}

const oversize = (jid, length) => jid.replace("@", "0".repeat(length) + "@");

// Getters answer without the device; only storage keeps it.
const give = (jid) => {
  if (own.throwing) throw new native.Error("Cannot read properties of undefined (reading 'me')");
  if (jid === null) return null;
  const refuse = { get: () => { throw new native.Error("hostile proxy"); } };
  // Looking up any trap throws, so every operation on the outer proxy does.
  if (plan.proxy) return new native.Proxy({}, new native.Proxy({}, refuse));
  let bare = jid.replace(/:\d+@/, "@");
  if (plan.oversize) bare = oversize(bare, 10 << 20);
  return plan.wid_form === "text" ? bare : new Wid(bare);
};

// Getters without "Maybe" in their name throw when there is nothing.
const must = (wid) => {
  if (wid === null) throw new native.Error("me user is not set");
  return wid;
};

// Events as in Backbone: "change:<name>" with (model, value), then "change".
class Model {
  _events = {};
  on(names, callback, context) {
    for (const name of names.split(/\s+/)) (this._events[name] ??= []).push({ callback, context });
    return this;
  }
  once(names, callback, context) {
    for (const name of names.split(/\s+/)) {
      const first = (...values) => {
        this.off(name, first);
        callback.apply(context ?? this, values);
      };
      first.original = callback;
      this.on(name, first, context);
    }
    return this;
  }
  off(names, callback) {
    for (const name of names ? names.split(/\s+/) : Object.keys(this._events)) {
      const kept = (this._events[name] ?? []).filter(
        (l) => callback && l.callback !== callback && l.callback.original !== callback,
      );
      if (kept.length) this._events[name] = kept;
      else delete this._events[name];
    }
    return this;
  }
  trigger(name, ...values) {
    for (const l of [...(this._events[name] ?? [])]) l.callback.apply(l.context ?? this, values);
    return this;
  }
}

const link = { state: "OPENING", hasSynced: false };
class SocketModel extends Model {
  get state() {
    return link.state;
  }
  get hasSynced() {
    return link.hasSynced;
  }
}
const Socket = new SocketModel();

const setLink = (values) => {
  const changed = Object.keys(values).filter((name) => link[name] !== values[name]);
  Object.assign(link, values);
  for (const name of changed) Socket.trigger("change:" + name, Socket, link[name]);
  if (changed.length) Socket.trigger("change", Socket);
};

class ConnModel {
  get pushname() {
    return own.me === null ? undefined : plan.push_name;
  }
  get platform() {
    return own.me === null ? undefined : plan.platform;
  }
  serialize() {
    return { pushname: this.pushname, platform: this.platform };
  }
}
const connKey = { conn_me: "me", conn_wid: "wid" }[era];
if (connKey) {
  Object.defineProperty(ConnModel.prototype, connKey, { get: () => give(own.me), enumerable: true });
}
const Conn = new ConnModel();
