// Body of one look: evaluates every reader row and returns one envelope. `__ROWS__` is put
// in by probe.rs.
//
// The page is hostile input: it may have replaced any built-in, its getters may throw, its objects
// may be Proxies. So nothing here calls a method of a built-in, every foreign access stands in a
// try of its own, and all that leaves is made of prototype-less objects and primitives of bounded
// length, which no page's `toJSON` reaches.
const MAX = 256;
const guarded = (read) => {
  try {
    return { __proto__: null, value: read() };
  } catch {
    return { __proto__: null, threw: true };
  }
};
// What the envelope says, in one string: a wait compares it with the one before.
let mark = '';
const note = (value) => {
  mark += typeof value === 'object' ? (value === null ? '|' : '|#') : '|' + value;
};
const text = (value) =>
  typeof value !== 'string' ? null : value.length > MAX ? { __proto__: null, length: value.length } : value;
const field = (object, name) => {
  const { value } = guarded(() => object[name]);
  return typeof value === 'string' ? value : undefined;
};
// A Wid is a string, or an object with `_serialized`, or with `user` and perhaps `server`.
const wid = (value) => {
  if (value === null) return { __proto__: null, nobody: true };
  if (typeof value !== 'object') return { __proto__: null, jid: text(value) };
  const serialized = field(value, '_serialized');
  if (serialized) return { __proto__: null, jid: text(serialized) };
  const user = field(value, 'user');
  const server = field(value, 'server');
  if (user && user.length <= MAX && server && server.length <= MAX) {
    return { __proto__: null, jid: text(user + '@' + server) };
  }
  return { __proto__: null, user: text(user) };
};

const ABSENT = { __proto__: null };
const mod = (name) => {
  const { value } = guarded(() => (typeof window.require === 'function' ? window.require(name) : undefined));
  return value;
};
const has = (object, method) => object != null && typeof object[method] === 'function';
const call = (object, method) => (has(object, method) ? (object[method]() ?? null) : ABSENT);
const read = (object, name) => (object == null ? ABSENT : (object[name] ?? ABSENT));
// The account's own getters under all the names they have had. Where the number has a getter of its
// own, the older one may give the LID and is not asked.
const me = mod('WAWebUserPrefsMeUser');
const hasPn = (object) => guarded(() => has(object, 'getMaybeMePnUser')).value === true;
const own = (object) => {
  if (hasPn(object)) return [() => call(object, 'getMaybeMePnUser'), () => call(object, 'getMaybeMeLidUser')];
  if (hasPn(me)) return [];
  if (has(object, 'getMaybeMeUser')) return [() => call(object, 'getMaybeMeUser')];
  return [() => call(object, 'getMeUser')];
};

const ROWS = __ROWS__;
const rows = { __proto__: null };
for (let i = 0; i < ROWS.length; i += 1) {
  const row = { __proto__: null };
  const getters = guarded(ROWS[i]).value ?? [];
  for (let k = 0; k < getters.length; k += 1) {
    const { value, threw } = guarded(getters[k]);
    if (!threw && value !== ABSENT) row[k === 0 ? 'first' : 'second'] = wid(value);
  }
  rows[i] = row;
  note(row.first?.jid ?? row.first?.user ?? row.first?.nobody);
  note(row.second?.jid ?? row.second?.user ?? row.second?.nobody);
}

const stored = (key) => guarded(() => window.localStorage[key] ?? null).value;
const socket = guarded(() => mod('WAWebSocketModel').Socket).value;
const conn = guarded(() => mod('WAWebConnModel').Conn).value;
const state = text(guarded(() => socket.state).value);
const { value: flag } = guarded(() => socket.hasSynced);
const synced = typeof flag === 'boolean' ? flag : null;
const storage = {
  __proto__: null,
  noise: stored('WANoiseInfo') != null,
  me: stored('last-wid-md') != null,
  postLogout: text(stored('post-logout')),
};
const origin = text(window.location.origin);
const isLoaded = guarded(() => document.readyState).value === 'complete';
note(origin);
note(isLoaded);
note(socket == null);
note(state);
note(synced);
note(storage.noise);
note(storage.me);
note(storage.postLogout);
return {
  __proto__: null,
  mark,
  origin,
  rows,
  socket: socket == null ? null : { __proto__: null, state, synced },
  storage,
  isLoaded,
  isHidden: guarded(() => document.hidden).value === true,
  pushName: text(guarded(() => conn.pushname).value),
  platform: text(guarded(() => conn.platform).value),
};
