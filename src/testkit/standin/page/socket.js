// Events as in Backbone: "change:<name>" with (model, value), then "change".
class Model {
  _events = {};
  on(names, callback, context) {
    for (const event of names.split(/\s+/)) (this._events[event] ??= []).push({ callback, context });
    return this;
  }
  once(names, callback, context) {
    for (const event of names.split(/\s+/)) {
      const first = (...values) => {
        this.off(event, first);
        callback.apply(context ?? this, values);
      };
      first.original = callback;
      this.on(event, first, context);
    }
    return this;
  }
  off(names, callback) {
    for (const event of names ? names.split(/\s+/) : Object.keys(this._events)) {
      const kept = (this._events[event] ?? []).filter(
        (l) => callback && l.callback !== callback && l.callback.original !== callback,
      );
      if (kept.length) this._events[event] = kept;
      else delete this._events[event];
    }
    return this;
  }
  trigger(event, ...values) {
    for (const l of [...(this._events[event] ?? [])]) l.callback.apply(l.context ?? this, values);
    return this;
  }
}

// Until the page launches, `Socket` hides what the timeline has set.
const link = { launched: false, state: "OPENING", hasSynced: undefined };
const shown = () => ({
  state: link.launched ? link.state : "UNLAUNCHED",
  hasSynced: link.launched ? link.hasSynced : undefined,
});

class SocketModel extends Model {}
for (const known of ["state", "hasSynced"]) {
  const get = () => shown()[known];
  Object.defineProperty(SocketModel.prototype, name(known), { get, configurable: true });
}
const Socket = new SocketModel();

const setLink = (values) => {
  const before = shown();
  Object.assign(link, values);
  const now = shown();
  // A page that connects reads its own account.
  if (now.state === "CONNECTED" && number() !== null) {
    pn();
    lid();
  }
  const changed = Object.keys(now).filter((known) => before[known] !== now[known]);
  for (const known of changed) Socket.trigger("change:" + name(known), Socket, now[known]);
  if (changed.length) Socket.trigger("change", Socket);
};

class ConnModel {
  get pushname() {
    return number() === null ? undefined : plan.push_name;
  }
  get platform() {
    return number() === null ? undefined : plan.platform;
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
